#!/bin/bash
#SBATCH -N 4 --gpus-per-node=8
DIST="
  --nproc_per_node 8
  --nnodes $SLURM_NNODES
"
MODEL="--num-layers 32 --hidden-size 4096"
srun --container-image=nvcr.io/nvidia/pytorch:24.05-py3 bash -c "torchrun $DIST pretrain_gpt.py $MODEL"
