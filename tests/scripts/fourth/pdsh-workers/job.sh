#!/bin/bash
#SBATCH -N 8 --gres=gpu:4
module load pdsh
pdsh -R ssh -w "$SLURM_JOB_NODELIST" mkdir -p /tmp/$USER
pdsh -R ssh -w "$SLURM_JOB_NODELIST" "source ~/envs/ml/bin/activate; python ~/project/node.py"
