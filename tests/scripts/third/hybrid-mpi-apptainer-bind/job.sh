#!/bin/bash
#SBATCH -N 4 --ntasks-per-node=32
ml load openmpi/4.1.6 apptainer
export APPTAINER_BIND=/scratch
mpirun -np 128 --map-by core apptainer exec ~/img/foam.sif simpleFoam -parallel
