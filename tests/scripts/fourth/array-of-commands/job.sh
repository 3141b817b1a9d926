#!/bin/bash
#SBATCH --array=0-2 --gres=gpu:1
cmds=(
  "python a.py --lr 1"
  "singularity exec --nv /shared/b.sif python b.py"
  "./c"
)
eval "${cmds[$SLURM_ARRAY_TASK_ID]}"
