#!/bin/bash
#SBATCH --gpus=1 --nodes=1
load() { module load "$1" || { echo "no $1" >&2; exit 1; }; }
load gromacs/2024.1-cuda12.2
load plumed/2.9
run() { srun gmx_mpi mdrun -deffnm "$1" -cpi; }
run em && run nvt && run npt
