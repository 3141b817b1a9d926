#!/bin/bash
#SBATCH --gres=gpu:1
export PATH=/work/alice/envs/pt/bin:$PATH
export LD_LIBRARY_PATH=/work/alice/envs/pt/lib:${LD_LIBRARY_PATH:-}
python train.py
