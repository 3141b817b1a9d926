#!/bin/bash
#SBATCH -N 3 --gpus-per-node=2 --exclusive
module load anaconda3/2023.09
conda activate ray
head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
srun -N1 -n1 -w "$head" ray start --head --block &
sleep 15
srun -N2 -n2 -x "$head" ray start --address "$head:6379" --block &
python -u tune.py
