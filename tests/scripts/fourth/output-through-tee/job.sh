#!/bin/bash
#SBATCH --gpus-per-node=2
exec > >(tee -a run.log) 2>&1
exec 3< params.txt
{ module load cuda/12.2 gcc/12; } 2> /dev/null
srun ./fft 2>&1 | tee fft.log
