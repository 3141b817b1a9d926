#!/bin/bash
#SBATCH --gres=gpu:1
set -euo pipefail
in_container() {
  local image=$1
  shift
  apptainer exec --nv --bind "$PWD:/work" --pwd /work "$image" "$@"
}
log() { printf '[%s] %s\n' "$(date +%T)" "$*"; }
log start
in_container /shared/images/fold.sif python predict.py --in a.fasta
log end
