#!/bin/bash
#SBATCH --gpus=1 -N 1
cd "$SLURM_SUBMIT_DIR" || exit 1
uv run --frozen python train.py
