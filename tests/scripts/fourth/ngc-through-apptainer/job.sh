#!/bin/bash
#SBATCH --gpus-per-node=4 -N 2
module load apptainer/1.3
srun apptainer run --nv -B /data docker://nvcr.io/nvidia/pytorch:24.05-py3 python -m ddp
