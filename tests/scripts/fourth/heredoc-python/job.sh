#!/bin/bash
#SBATCH --gres=gpu:1
. ~/envs/plot/bin/activate
python - <<'PY'
import os, torch
os.system("echo module load cuda/9.0")
PY
