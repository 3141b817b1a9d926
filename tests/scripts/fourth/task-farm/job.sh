#!/bin/bash
#SBATCH -N 4 --gres=gpu:4
module load disBatch/2.5 launcher
export LAUNCHER_JOB_FILE=jobs.txt
$LAUNCHER_DIR/paramrun
disBatch tasks.txt
greasy list.txt
