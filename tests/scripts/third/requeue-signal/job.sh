#!/bin/bash
#SBATCH --gres=gpu:1 --requeue --signal=B:USR1@120
requeue() { echo requeue; scontrol requeue $SLURM_JOB_ID; exit 0; }
trap requeue USR1
module load cuda/11.8
srun ./train --resume &
wait
