#!/bin/bash
#SBATCH -N 1
#SBATCH --gpus-per-node=8
NPROC=8
CONFIG=configs/base.yaml
while getopts "n:c:h" opt; do
  case $opt in
    n) NPROC=$OPTARG ;;
    c) CONFIG=$OPTARG ;;
    h) echo "usage: $0 [-n procs] [-c config]"; exit 0 ;;
    *) exit 2 ;;
  esac
done
shift $((OPTIND - 1))
module load miniforge/24.3
conda activate vit
torchrun --standalone --nproc_per_node="$NPROC" train.py --config "$CONFIG" "$@"
