#!/bin/bash
#SBATCH --gpus=1
module load cuda/toolkit/12.4.1
module load cuda12/12.3
module load NVHPC/24.9-CUDA-12.6.0
python3 -c 'print(1)'
