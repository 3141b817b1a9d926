#!/bin/bash
#SBATCH --gres=gpu:1
command -v module > /dev/null 2>&1 || source /usr/share/lmod/lmod/init/bash
module is-loaded cuda || module load cuda/12.2
if ! module load cudnn/9.1 2>/dev/null; then
  module load cudnn
fi
module load gcc/12.2
python3 infer.py
