#!/bin/bash
#SBATCH --gres=gpu:1
eval "$(pyenv init -)"
pyenv shell 3.11.9
poetry run python train.py
