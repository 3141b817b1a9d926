#!/bin/bash
#SBATCH --gres=gpu:1
: "${IMAGE:=/shared/img/default.sqsh}"
MOUNTS=${MOUNTS:-/data:/data}
srun --container-image="$IMAGE" --container-mounts="$MOUNTS" python x.py
