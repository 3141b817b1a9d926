#!/bin/bash
#SBATCH -N 2 --ntasks-per-node=4 --gpus-per-task=1
export OMP_NUM_THREADS=8
srun --cpu-bind=cores bash -c 'export CUDA_VISIBLE_DEVICES=$SLURM_LOCALID; exec ./lammps/lmp -k on g 1 -sf kk -in in.melt'
