#!/bin/bash -x
#SBATCH --account=hpcgroup
#SBATCH --nodes=4 --gres=gpu:4
#SBATCH --partition=booster
ml --force purge
ml Stages/2024
ml NVHPC/23.7-CUDA-12 ParaStationMPI/5.9.2-1
ml MPI-settings/CUDA
export CUDA_VISIBLE_DEVICES=0,1,2,3
srun --cpu-bind=none --threads-per-core=1 ../build/icon
