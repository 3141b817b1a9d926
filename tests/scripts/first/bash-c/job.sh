#!/bin/bash
#SBATCH --gres=gpu:2
#SBATCH -N 1

export CUDA_MODULE=cuda/12.3.2
PYTHON_MODULE=python/3.11

srun bash -c '
  module load "$CUDA_MODULE"
  module load "$PYTHON_MODULE"
  source venv/bin/activate
  torchrun --standalone --nproc-per-node 2 finetune.py
'
nohup sh -c "ml $PYTHON_MODULE && python monitor.py --out $LOGDIR" > monitor.log &
wait
