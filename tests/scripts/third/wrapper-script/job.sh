#!/bin/bash
#SBATCH -n 64 --gpus-per-node=4
ml nvhpc/23.7
srun --cpu-bind=none ./bind_gpus.sh ./vasp_std
