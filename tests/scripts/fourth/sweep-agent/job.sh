#!/bin/bash
#SBATCH --gres=gpu:1 --array=1-8
source venv/bin/activate
wandb agent --count 1 lab/proj/ab12cd
