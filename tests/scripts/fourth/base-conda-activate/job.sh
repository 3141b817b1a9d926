#!/bin/bash
#SBATCH --gres=gpu:1
. /opt/miniforge3/etc/profile.d/conda.sh && conda activate base
python bench.py
