#!/bin/bash
#SBATCH -N 2 --gpus-per-node=4
module load cuda/12.1 gcc/11
LAUNCHER="python -m torch.distributed.run --nproc_per_node 4 --nnodes $SLURM_NNODES"
ARGS="--deepspeed ds.json --lr 1e-4"
ARGS+=" --epochs 3"
srun bash -c "$LAUNCHER train.py $ARGS"
