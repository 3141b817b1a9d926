#!/bin/bash
#SBATCH --array=0-99
#SBATCH --gpus-per-node=1
#SBATCH --time=00:30:00

SEEDS=(1 2 3 5 8)
ENV=/home/alice/envs/sweep
SEED=${SEEDS[$((SLURM_ARRAY_TASK_ID % 5))]}

conda run --no-capture-output -p $ENV python sweep.py --seed $SEED --task ${SLURM_ARRAY_TASK_ID}
conda run -n missing python summarize.py
module load "${SEEDS[0]}"
