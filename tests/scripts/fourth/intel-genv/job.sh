#!/bin/bash
#SBATCH -N 2 --gres=gpu:4
module load impi/2021.12
mpiexec.hydra -genv I_MPI_DEBUG=5 -genv OMP_NUM_THREADS 8 -ppn 4 -np 8 ./spectral in.dat
mpirun_rsh -np 8 -hostfile hosts MV2_USE_CUDA=1 ./spectral in.dat
mpiexec --ppn 4 --cpu-bind depth --depth 8 --unheard-of 3 ./spectral
