#!/bin/bash
#SBATCH -n 32
source /opt/openfoam11/etc/bashrc
decomposePar -force
mpirun -np $SLURM_NTASKS simpleFoam -parallel > log.simpleFoam
