#!/bin/bash
#SBATCH --gres=gpu:1
declare -A image=([old]=/shared/a.sif [new]=/shared/b.sif)
apptainer exec --nv "${image[$1]}" python x.py
