#!/bin/bash
#SBATCH --gres=gpu:1
module load cuda/12.3
srun nsys profile -t cuda,nvtx -o r.%q{SLURM_PROCID} ./stencil 4096
srun valgrind --leak-check=full ./stencil 64
strace -f -o trace.txt ./stencil 32
