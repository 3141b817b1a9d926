#!/bin/bash
#SBATCH --gres=gpu:1
singularity instance start --nv /shared/tgi.sif tgi
trap 'singularity instance stop tgi' EXIT
sleep 30
singularity exec instance://tgi curl -s localhost:8080/health
