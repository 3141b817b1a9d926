#!/bin/bash
#SBATCH --gres=gpu:1
[ -f cuda.sif ] || apptainer pull cuda.sif docker://nvidia/cuda:12.3.2-runtime-ubuntu22.04
ARGS=(--nv --cleanenv)
ARGS+=(--bind "$PWD:/mnt" --pwd /mnt)
apptainer exec "${ARGS[@]}" cuda.sif ./prog
