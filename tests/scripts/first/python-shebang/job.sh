#!/home/alice/envs/ray/bin/python
#SBATCH --gres=gpu:1
#SBATCH --time=10:00

import subprocess

subprocess.run("module load cuda/12.9", shell=True)
