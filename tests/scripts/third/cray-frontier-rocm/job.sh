#!/bin/bash
#SBATCH -A proj -N 8 -t 2:00:00
#SBATCH --gpus-per-node=8
module load PrgEnv-amd craype-accel-amd-gfx90a
module load rocm/6.0.0
export MPICH_GPU_SUPPORT_ENABLED=1
srun -n 64 --gpus-per-task=1 --gpu-bind=closest ./simulate input.toml
