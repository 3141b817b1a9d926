#!/bin/bash
#SBATCH --nodes=1

CUDA_VERSION=12.4
[ "$BIG" = 1 ] && CUDA_VERSION=12.6
ROOT=/sw
STACK=$ROOT/2024a
TOOLS="cmake/3.27.6 ninja/1.11.1"
read -r COMPILER < compiler.txt

module use $STACK/modules
module load $TOOLS
module load cuda/$CUDA_VERSION
module load gcc/${GCC:-12}
module load openblas/${ROOT:-none}
module load $COMPILER
source ./env.sh
conda activate $MY_ENV
python train.py
