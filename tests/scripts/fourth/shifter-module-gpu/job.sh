#!/bin/bash
#SBATCH -C gpu --gpus-per-node=4 -N 2
#SBATCH --image=docker:nersc/pytorch:24.06.02
#SBATCH --module=gpu,nccl-plugin
export MASTER_ADDR=$(hostname)
srun -l shifter bash -c "source setup_ddp.sh; python train.py"
