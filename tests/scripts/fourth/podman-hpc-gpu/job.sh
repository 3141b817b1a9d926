#!/bin/bash
#SBATCH -C gpu -G 4 -N 1
srun podman-hpc run --rm --gpu -v $SCRATCH:/data ghcr.io/lab/sim:2.1 python /data/run.py
