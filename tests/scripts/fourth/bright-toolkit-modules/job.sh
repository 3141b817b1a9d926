#!/bin/bash
#SBATCH --job-name=cfd   # a comment behind
#SBATCH -N 1 -n 16
#SBATCH --gres=gpu:v100:2            # two of them
##SBATCH --gres=gpu:8
# SBATCH --gres=gpu:8
module load shared
module add slurm
module add cuda11.8/toolkit/11.8.0 cudnn8.6-cuda11.8/8.6.0.163
cd "$SLURM_SUBMIT_DIR" || exit 1
mpirun -np $SLURM_NTASKS ./solver -in case.yaml > log.$SLURM_JOB_ID 2>&1
