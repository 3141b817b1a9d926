#!/bin/bash
#SBATCH --gres=gpu:1
: <<'OLD'
module load cuda/9.0
srun ./old
OLD
# module load cuda/10.2
echo "module load cuda/11.0"
module load "cuda/12.1" # not 12.0
srun python3 new.py
