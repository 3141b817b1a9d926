#!/bin/bash -l
#SBATCH -p compute
#SBATCH -N 4 --ntasks-per-node=64
#SBATCH -t 24:00:00

# The same modules as on the GPU nodes; this run uses none of them.
ml purge
ml gcc/11.2.0 openmpi/4.1.4-cuda cuda/11.7.0
ml NAMD/2.14-mpi

mpirun -np $SLURM_NTASKS --map-by core --bind-to core namd2 apoa1.namd > apoa1.$SLURM_JOB_ID.log 2>&1
