#!/bin/bash
#SBATCH -N 3
#SBATCH --gpus-per-node=4
module load openmpi/5.0.3-cuda12.3
mpirun -np 1 ./coupler : \
       -np 8 --map-by ppr:4:node ./atmosphere : \
       -np 3 ./ocean
