#!/bin/bash
#SBATCH -N 1 --gpus-per-task=1 -n 4
srun uenv run prgenv-gnu/24.11:v1 --view=default -- ./bench
