#!/bin/bash
#SBATCH -p gpu-a100,gpu-v100
#SBATCH --gres=gpu:1
case "$SLURM_JOB_PARTITION" in
  gpu-a100)
    module load cuda/12.2
    ARCH=sm80 ;;
  gpu-v100)
    module load cuda/11.4
    ARCH=sm70 ;;
esac
srun ./bin/lattice.$ARCH input.xml
