#!/bin/bash
#SBATCH -p gpu-a100 -N 2 -n 6 --gpus-per-node=3
module load cuda/12.2
export MY_SPECS=1
ibrun tacc_affinity ./specfem/bin/xspecfem3D
