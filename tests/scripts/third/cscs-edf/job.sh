#!/bin/bash
#SBATCH --account=g1 --partition=normal
#SBATCH --nodes=2 --gpus-per-node=4
srun --environment=megatron bash -c "python -m torch.distributed.run --nproc_per_node=4 pretrain.py"
