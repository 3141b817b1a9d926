#!/bin/bash -l
#SBATCH -N 2
#SBATCH --ntasks-per-node=4
#SBATCH --gpus-per-node=4
#SBATCH --signal=SIGUSR1@90
set -euo pipefail
module load Mamba/23.11.0-0
source activate lightning
export NCCL_DEBUG=INFO MASTER_PORT=29500
srun python train.py --devices 4 --nodes 2
