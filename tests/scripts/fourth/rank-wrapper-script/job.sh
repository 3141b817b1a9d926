#!/bin/bash
#SBATCH -N 1 -n 4 --gpus-per-node=4
module load openmpi/4.1-cuda-12.1
srun ./select_gpu.sh ./heat --steps 100
mpirun -np 4 --map-by numa bash rank.sh ./heat
