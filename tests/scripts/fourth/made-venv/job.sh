#!/bin/bash
#SBATCH --gres=gpu:1
module load python/3.12
[ -d .venv ] || python -m venv .venv
. .venv/bin/activate || exit 1
pip install -q -r requirements.txt
python -m app
