#!/bin/bash
#SBATCH --gres=gpu:4 -c 16
module load parallel/20230722 cuda/11.7
parallel --delay 0.2 -j 4 "CUDA_VISIBLE_DEVICES=\$(({%} - 1)) ./fold {1} {2}" ::: a b c d ::: 1 2
