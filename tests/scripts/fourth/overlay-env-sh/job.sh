#!/bin/bash
#SBATCH --gres=gpu:rtx8000:1 -c 8
module purge
overlay=/scratch/alice/pt.ext3
singularity exec --nv --overlay ${overlay}:ro \
    /scratch/work/public/singularity/cuda12.1.1-cudnn8.9.0-devel-ubuntu22.04.2.sif \
    /bin/bash -c "source /ext3/env.sh; python train.py --epochs 3"
