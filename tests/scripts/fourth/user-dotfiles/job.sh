#!/bin/bash
#SBATCH --gres=gpu:1
source ~/.bash_profile
source /etc/bashrc
module load cuda/12.2
srun hostname
