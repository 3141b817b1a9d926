#!/bin/bash
#SBATCH --job-name=vit-l-in21k
#SBATCH --account=m4217_g
#SBATCH --constraint=gpu&hbm80g
#SBATCH --qos=regular
#SBATCH --time=12:00:00
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=128
#SBATCH --gpus-per-node=4
#SBATCH --signal=B:USR1@300
#SBATCH --requeue
#SBATCH --output=logs/%x-%j.out
# #SBATCH --gpus-per-node=8      (the other machine)

set -euo pipefail

# module load cudatoolkit/12.2      <- NCCL hangs with this one, do NOT use
module load cudatoolkit/12.4
module load nccl/2.21.5  cudnn/9.1.0		# for the fused attention
module list 2>&1

source "$HOME/miniconda3/etc/profile.d/conda.sh"
conda activate train

# ---- rendezvous -------------------------------------------------------
nodes=( $(scontrol show hostnames "$SLURM_JOB_NODELIST") )
export MASTER_ADDR=${nodes[0]}
export MASTER_PORT=$(( 29500 + SLURM_JOB_ID % 1000 ))
export NCCL_SOCKET_IFNAME=hsn NCCL_DEBUG=WARN OMP_NUM_THREADS=16
NGPU=4

requeue() {
    echo "$(date -Is) time is nearly up: requeue; next time 'module load' is done again, of course"
    kill -USR1 "$step"
    scontrol requeue "$SLURM_JOB_ID"
}
trap requeue USR1

srun --kill-on-bad-exit=1 --cpu-bind=none \
    torchrun \
        --nnodes="$SLURM_NNODES" \
        --nproc_per_node="$NGPU" \
        --rdzv_id="$SLURM_JOB_ID" --rdzv_backend=c10d \
        --rdzv_endpoint="$MASTER_ADDR:$MASTER_PORT" \
    train.py --config configs/vit_l.yaml \
             --data /pscratch/sd/a/alice/in21k \
             --resume auto &
step=$!
wait "$step"
