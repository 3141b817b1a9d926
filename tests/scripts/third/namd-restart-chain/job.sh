#!/bin/bash
#SBATCH --gpus=1 -N1
STEP=${STEP:-1}
if (( STEP > 5 )); then echo finished; exit 0; fi
module load namd/3.0-multicore-CUDA-12.2
namd3 +p8 +devices 0 step$STEP.namd > step$STEP.log
sbatch --export=STEP=$((STEP+1)) "$0"
