#!/bin/bash
#SBATCH --gres=gpu:1
PORT=$(shuf -i 8000-9999 -n1)
echo "ssh -L $PORT:$(hostname):$PORT"
apptainer exec --nv docker://quay.io/jupyter/pytorch-notebook:cuda12-python-3.11 jupyter lab --port=$PORT --ip=0.0.0.0
