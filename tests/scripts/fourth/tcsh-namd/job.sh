#!/bin/tcsh -f
#SBATCH -J md
#SBATCH --gres=gpu:1
setenv OMP_NUM_THREADS 8
module load cuda/12.1 namd/3.0
namd3 +p8 +devices 0 run.conf > run.log
