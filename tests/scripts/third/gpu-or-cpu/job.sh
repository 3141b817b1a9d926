#!/bin/bash
#SBATCH -p any
#SBATCH --gres=gpu:1
if [ -n "$CUDA_VISIBLE_DEVICES" ]; then
    module load cuda/12.4
    EXE=./md.gpu
else
    EXE=./md.cpu
fi
$EXE run.in
