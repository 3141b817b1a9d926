#!/bin/bash
#SBATCH --gres=gpu:1
set -a
source .env
set +a
srun apptainer exec --nv --env-file .env "$CONTAINER" python serve.py
