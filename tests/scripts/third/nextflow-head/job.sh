#!/bin/bash
#SBATCH -c 2 --mem=8G -t 2-00
module load java/17 nextflow/23.10
export NXF_OPTS='-Xms1g -Xmx4g'
nextflow run nf-core/rnaseq -profile singularity -resume
