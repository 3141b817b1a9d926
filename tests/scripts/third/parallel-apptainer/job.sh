#!/bin/bash
#SBATCH -c 16
module load parallel apptainer/1.2
ls *.bam | parallel -j 16 apptainer exec sam.sif samtools index {}
