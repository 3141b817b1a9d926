#!/bin/bash
#SBATCH --gres=gpu:1
export PATH="$HOME/.pixi/bin:$PATH"
pixi run -e gpu train
