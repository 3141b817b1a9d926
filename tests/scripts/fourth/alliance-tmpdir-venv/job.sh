#!/bin/bash
#SBATCH --account=def-prof
#SBATCH --gpus-per-node=h100:1
#SBATCH --mem=32G --time=0-12:00
module load StdEnv/2023 gcc/12.3
module load cuda/12.2 python/3.11
virtualenv --no-download $SLURM_TMPDIR/env
source $SLURM_TMPDIR/env/bin/activate
pip install --no-index --upgrade pip
pip install --no-index torch torchvision
tar xf ~/projects/def-prof/data/imagenet.tar -C $SLURM_TMPDIR
python train.py --data $SLURM_TMPDIR/imagenet
