#!/bin/bash
#SBATCH -C gpu -N 1 -G 4
srun -n 4 podman-hpc run --rm --gpu -v $PWD:/w docker.io/nvidia/cuda:12.4.1-devel-ubuntu22.04 /w/bench
