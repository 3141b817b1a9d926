#!/usr/bin/env bash
#SBATCH --job-name=nf-head
#SBATCH --cpus-per-task=2
#SBATCH --mem=8G
#SBATCH --time=3-00:00:00

module load java/17 nextflow/23.10.1 singularity/3.11

export NXF_SINGULARITY_CACHEDIR=$HOME/.singularity/cache
export NXF_OPTS='-Xms1g -Xmx4g'

if [[ -n "${1:-}" ]]; then
    module load "$1"
fi

nextflow run nf-core/rnaseq -r 3.14.0 -profile singularity,slurm \
    --input samples.csv --outdir results -resume
