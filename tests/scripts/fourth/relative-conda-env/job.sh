#!/bin/bash
#SBATCH --gres=gpu:1
cd "$(dirname "$0")"
conda activate ./env
./bin/prepare && python main.py
