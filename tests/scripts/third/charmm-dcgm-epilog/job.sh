#!/bin/bash
#SBATCH --gpus=2 -N1
cleanup() {
  module load dcgm
  dcgmi stats -s "$SLURM_JOB_ID"
}
trap cleanup EXIT
ml charmm/c47b2-cuda11.8
mpirun -np 2 charmm -i step5.inp > step5.out
