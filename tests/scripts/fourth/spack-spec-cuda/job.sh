#!/bin/bash
#SBATCH --gpus-per-node=1
. $HOME/spack/share/spack/setup-env.sh
spack load gromacs@2024 +cuda ^cuda@12.2.1
spack load "kokkos@4.3 %gcc@12 ^openmpi" cmake
gmx mdrun -nb gpu -s run.tpr
