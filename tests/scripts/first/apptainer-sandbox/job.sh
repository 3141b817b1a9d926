#!/bin/bash
#SBATCH --gres=gpu:h100:1
#SBATCH -t 2:00:00

module load apptainer/1.3
IMG=$HOME/images/esm
apptainer exec --cleanenv "$IMG" python3 fetch_weights.py
apptainer exec --nv --bind $SCRATCH:/data,/scratch "$IMG" \
    bash -c 'module load inside-only; python3 fold.py'
apptainer run --nv library://lab/viewer:latest
apptainer exec --nv $CONTAINER true
