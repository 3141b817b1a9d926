#!/bin/bash
#SBATCH -N 1 --gpus-per-node=4
module load lammps/2Aug2023-foss-2023a-kokkos-CUDA-12.1.1
for T in 300 400 500; do
  mkdir -p T$T && (cd T$T && srun -n 4 lmp -k on g 4 -sf kk -in ../in.melt -v T $T)
done
