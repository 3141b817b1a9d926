#!/bin/bash
#SBATCH --nodes=2
#SBATCH --gpus-per-task=1
#SBATCH --ntasks-per-node=4
#SBATCH --partition=gpu

. /apps/spack/share/spack/setup-env.sh
spack load gcc@12.3.0
spack load cuda@12.2.1%gcc@12.3.0 openmpi@4.1.6
spack load lammps@20230802 +kokkos ^cuda@11.8.0

srun --mpi=pmix lmp -k on g 1 -sf kk -pk kokkos newton on neigh half -in in.lj
