#!/bin/sh
#SBATCH -n 4
. $MODULESHOME/init/sh
source /usr/share/modules/init/bash
module load mpi/openmpi-x86_64
mpirun ./wave
