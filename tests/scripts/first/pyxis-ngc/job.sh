#!/bin/bash
#SBATCH --job-name=nemo
#SBATCH --nodes=4
#SBATCH --gpus=32
#SBATCH --ntasks-per-node=8
#SBATCH --exclusive

export NCCL_IB_DISABLE=0
MOUNTS="/lustre/data:/data,$PWD:/workspace"

srun --mpi=pmix \
     --container-image=nvcr.io#nvidia/pytorch:24.05-py3 \
     --container-mounts="$MOUNTS" \
     --container-workdir=/workspace \
     python -u pretrain.py --data /data

srun -N1 -n1 --container-image=nvcr.io#nvidia/pytorch:99.99-py3 python -c 'import torch'
srun -N1 -n1 --container-image="$EVAL_IMAGE" python eval.py
