#!/bin/bash
#SBATCH --uenv=prgenv-gnu/24.11:v1
#SBATCH --view=default
#SBATCH -N 2
srun -n 128 ./icon
