#!/bin/bash
#SBATCH --gres=gpu:a40:1
export MAMBA_ROOT_PREFIX=/scratch/alice/mamba
eval "$(/scratch/alice/bin/micromamba shell hook -s bash)"
micromamba activate dl
python train.py
