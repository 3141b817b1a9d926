#!/bin/bash
#SBATCH --gpus=1
export UV_CACHE_DIR=$SLURM_TMPDIR/uv
cd ~/project
uv sync --frozen --no-dev
uv run --no-sync python -m trainer.main
