#!/bin/bash
#SBATCH -G 1 -N 1
$HOME/miniconda3/bin/conda run --no-capture-output -n rl python -u agent.py --seed $SLURM_ARRAY_TASK_ID
