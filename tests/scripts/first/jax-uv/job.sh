#!/bin/bash
#SBATCH -J jax-lm
#SBATCH -N 1
#SBATCH --gpus=8
#SBATCH -c 64
#SBATCH -t 1-00:00:00

cd $SLURM_SUBMIT_DIR
export XLA_PYTHON_CLIENT_MEM_FRACTION=.9
export JAX_COMPILATION_CACHE_DIR=$SCRATCH/jax

srun uv run --frozen python -m lm.train --config configs/7b.toml
