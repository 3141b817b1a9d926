#!/bin/bash
#SBATCH --image=docker:nersc/pytorch:24.08.01
#SBATCH --module=gpu,nccl-plugin
#SBATCH -C gpu -N 2 --gpus-per-node=4
srun shifter python train.py
