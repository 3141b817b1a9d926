#!/bin/bash
#SBATCH -N 2 -C gpu --gpus-per-node=1
srun sarus run --mpi --mount=type=bind,source=$SCRATCH,target=/scratch quay.io/lab/solver:2.1 /opt/solver/run
