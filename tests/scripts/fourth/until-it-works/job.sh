#!/bin/bash
#SBATCH --gres=gpu:1
tries=0
until srun --container-image=/shared/x.sqsh python job.py; do
  tries=$((tries + 1))
  [ $tries -ge 3 ] && exit 1
  sleep 60
done
