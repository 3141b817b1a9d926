#!/bin/bash
#SBATCH --partition=gpusmall --gres=gpu:a100:1
module purge
module load pytorch/2.4
srun singularity_wrapper exec deepspeed train.py
