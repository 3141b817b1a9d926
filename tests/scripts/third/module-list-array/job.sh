#!/bin/bash
#SBATCH -n 4
MODULES="gcc/12.2 openmpi/4.1.4 hdf5/1.14"
MODULES="$MODULES boost/1.81"
module load $MODULES
srun ./a.out
