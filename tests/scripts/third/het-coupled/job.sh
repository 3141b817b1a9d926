#!/bin/bash
#SBATCH -N1 -n8 --job-name=coupled
#SBATCH hetjob
#SBATCH -N2 --gpus-per-node=4
module load netcdf/4.9
srun --het-group=0 ./ocean : --het-group=1 apptainer exec --nv docker://nvidia/cuda:12.2.2-runtime-ubuntu22.04 ./atmos
