#!/bin/bash
#SBATCH -N 1 -n 4 --gpus-per-task=1
module load cuda/12.2 openmpi
srun bash -c '
  case $SLURM_LOCALID in
    0) export UCX_NET_DEVICES=mlx5_0:1 ;;
    *) export UCX_NET_DEVICES=mlx5_1:1 ;;
  esac
  ./pic input.toml
'
