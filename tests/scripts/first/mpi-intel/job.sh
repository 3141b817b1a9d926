#!/bin/bash
#SBATCH -n 256
#SBATCH -t 04:00:00

module load intel/2023.2 impi/2021.10
module try-load ucx/1.15
module unload intel/2023.2
module switch impi/2021.10 openmpi/4.1.6

export I_MPI_PMI_LIBRARY=/usr/lib64/libpmi2.so
mpiexec.hydra -genv OMP_NUM_THREADS 4 -ppn 16 ./solver input.nml
mpirun -n 1 bash -lc 'module load python/3.11; python3 plot.py'
