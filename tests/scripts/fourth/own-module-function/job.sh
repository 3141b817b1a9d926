#!/bin/bash
#SBATCH -n 1
module() { eval "$(/usr/bin/modulecmd bash "$@")"; }
module load cuda/12.2
python3 a.py
