#!/bin/bash
#SBATCH --gres=gpu:1
ENVDIR=/work/alice/envs
if [ -d "$ENVDIR/new" ]; then
  source "$ENVDIR/new/bin/activate"
else
  source "$ENVDIR/old/bin/activate"
fi
python fit.py
