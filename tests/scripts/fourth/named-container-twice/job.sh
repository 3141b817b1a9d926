#!/bin/bash
#SBATCH --gpus-per-node=1 -N 1
srun --container-image=/shared/base.sqsh --container-name=w --container-writable pip install -e .
srun --container-name=w --container-workdir=/work python go.py
