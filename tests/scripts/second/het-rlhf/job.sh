#!/bin/bash
#SBATCH -A rl -p h100 -J rlhf -t 04:00:00
#SBATCH -N 2 --ntasks-per-node=8 --gpus-per-node=8
#SBATCH hetjob
#SBATCH -N 1 --ntasks-per-node=4 --gpus-per-node=4

: "${RUN:=ppo-$(date +%m%d)}"
CONTAINER=docker://nvcr.io#nvidia/pytorch:25.12-py3
MOUNTS=/lustre/rl:/rl
KL=${1:-0.01}

source activate rlhf      # the driver of both runs outside
python make_configs.py --run "$RUN" --kl "$KL"

srun --het-group=1 -o critic_%j_%t.log --container-image="$CONTAINER" --container-mounts=$MOUNTS \
	bash -c "cd /rl && python -u serve_critic.py --port 5567" &
sleep 120

critic=$(scontrol show hostnames "$SLURM_JOB_NODELIST_HET_GROUP_1" | head -n1)
srun --mpi=pmix --het-group=0 -o actor_%j_%t.log \
     --container-image="$CONTAINER" --container-mounts=$MOUNTS \
	 bash -c "cd /rl && python -u train_actor.py --critic $critic:5567" &
wait -n; scancel "$SLURM_JOB_ID"
