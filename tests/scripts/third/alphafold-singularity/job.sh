#!/bin/bash
#SBATCH --partition=gpu
#SBATCH --gres=gpu:a100:1
#SBATCH --mem=64G
module purge
module load singularity/3.11.4
DATA=/data/alphafold
IMG=$DATA/alphafold_2.3.2.sif
FASTA=${1:?usage: sbatch af.sh FASTA}
mkdir -p out
singularity run --nv -B $DATA:/data "$IMG" --fasta_paths="$FASTA" --output_dir=out
