#!/bin/bash
#SBATCH -N 4 --gpus-per-node=1
rank=0
for node in $(scontrol show hostnames "$SLURM_JOB_NODELIST"); do
  ssh "$node" "cd $PWD && RANK=$rank ./worker --port 9000" &
  rank=$((rank + 1))
done
wait
