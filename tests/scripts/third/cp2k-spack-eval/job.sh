#!/bin/bash
#SBATCH -N 4 --exclusive
. /apps/spack/share/spack/setup-env.sh
spack load cp2k@2024.1
eval "$(spack load --sh elpa)"
export OMP_NUM_THREADS=4
srun --cpu-bind=cores cp2k.psmp -i in.inp -o out.log
