#!/bin/bash
#SBATCH --gres=gpu:1
host=$(hostname -s)
[[ $host == gpu* ]] && nv=--nv || nv=
singularity exec $nv /shared/x.sif python x.py
