#!/bin/bash
#SBATCH --gres=gpu:1
tmux new-session -d -s train "module load cuda/12.1; ./train --all"
screen -dmS eval ./eval --loop
while tmux has-session -t train 2>/dev/null; do sleep 30; done
