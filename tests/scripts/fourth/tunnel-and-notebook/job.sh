#!/bin/bash
#SBATCH --gres=gpu:1
module load python/3.11
port=$(shuf -i 8000-9999 -n 1)
ssh -N -f -R $port:localhost:$port login1
ssh login1 "touch ~/ready.$SLURM_JOB_ID"
jupyter lab --no-browser --port=$port --ip=127.0.0.1
