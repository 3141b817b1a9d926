#!/bin/bash
#SBATCH --nodes=4
#SBATCH --gpus-per-node=8
IMAGE=/shared/images/nemo.sqsh
SRUN_ARGS=(
  --container-image="$IMAGE"
  --container-mounts="$PWD:/workspace,/shared:/shared"
  --no-container-mount-home
)
srun "${SRUN_ARGS[@]}" bash -c 'torchrun --nproc_per_node=8 pretrain.py'
