#!/bin/bash
#SBATCH --gpus-per-socket=1
#SBATCH --sockets-per-node=2

module load cuDNN/8.9.2.26-CUDA-12.1.1 nvhpc/24.3 Python/3.11.5-GCCcore-13.2.0
VENV=${HOME}/venvs/tf
test -d "$VENV" || python -m venv "$VENV"
source "$VENV/bin/activate"
export TF_GPU_ALLOCATOR=cuda_malloc_async
numactl --cpunodebind=0 --membind=0 python train.py
