#!/bin/bash
#SBATCH -c 1 -t 24:00:00
source /home/alice/miniforge3/etc/profile.d/conda.sh
conda activate snakemake
snakemake --profile slurm --use-singularity --jobs 50
