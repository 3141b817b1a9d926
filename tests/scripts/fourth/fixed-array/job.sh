#!/bin/bash
#SBATCH --gpus-per-node=4 -N 2
args=(--ntasks-per-node=4)
args+=(--container-image=/shared/llama.sqsh --container-mounts="$PWD:/w")
cmd=(python -m train --fp8)
if ! time srun "${args[@]}" "${cmd[@]}" | tee train.log; then
  exit 1
fi
