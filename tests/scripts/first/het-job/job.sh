#!/bin/bash
#SBATCH --job-name=coupled
#SBATCH --nodes=1 --ntasks=16 --partition=cpu
#SBATCH hetjob
#SBATCH --nodes=2 --ntasks-per-node=4 --gres=gpu:4 --partition=gpu

module load openmpi/4.1.6
ml -oldmpi cuda/12.2.2

srun --het-group=0 ./ocean : --het-group=1 ./atmosphere
srun --het-group=1 /home/alice/envs/ai/bin/python3.11 emulator.py
