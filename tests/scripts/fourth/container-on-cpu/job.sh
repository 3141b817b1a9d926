#!/bin/bash
#SBATCH -c 32 --mem=64G
ml load Apptainer/1.3.3
export APPTAINER_BIND=/scratch
apptainer exec docker://quay.io/biocontainers/bwa:0.7.17 bwa mem ref.fa a.fq > a.sam
apptainer inspect bwa.sif; apptainer cache list
