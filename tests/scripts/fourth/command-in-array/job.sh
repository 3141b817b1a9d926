#!/bin/bash
#SBATCH --gpus-per-node=4 -N 2
srun_args=(--ntasks-per-node=4 --container-image=/shared/llama.sqsh --container-mounts="$PWD:/w")
[ -n "$DEBUG" ] && srun_args+=(--label)
cmd=(python -m train --fp8)
printf '%q ' "${cmd[@]}"; echo
srun "${srun_args[@]}" "${cmd[@]}"
