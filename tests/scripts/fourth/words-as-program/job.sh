#!/bin/bash
#SBATCH --gres=gpu:1
module load "$1"
shift
srun "$@"
