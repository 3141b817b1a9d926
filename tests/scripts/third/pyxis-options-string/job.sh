#!/bin/bash
#SBATCH -N 2 --gpus-per-node=8
CONT="nvcr.io#nvidia/cuda:12.6.2-devel-ubuntu22.04"
OPTS="--container-image=$CONT --container-mounts=/data:/data"
[ -n "$DEBUG" ] && OPTS="$OPTS --export=ALL,NCCL_DEBUG=INFO"
srun $OPTS python bench.py
