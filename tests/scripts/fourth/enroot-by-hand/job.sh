#!/bin/bash
#SBATCH --gres=gpu:1
enroot import -o /scratch/alice/cu.sqsh docker://nvidia/cuda:12.4.1-base-ubuntu22.04
enroot create -n cu /scratch/alice/cu.sqsh
enroot start --rw cu nvidia-smi
enroot remove -f cu
