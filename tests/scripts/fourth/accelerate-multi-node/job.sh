#!/bin/bash
#SBATCH -N 4 --gpus-per-node=4 --ntasks-per-node=1
source /etc/profile.d/modules.sh
module load cuda/12.4 nccl/2.21
source venv/bin/activate
export HEAD=$(scontrol show hostnames | head -1)
LAUNCH="accelerate launch --num_processes $((SLURM_NNODES * 4)) --num_machines $SLURM_NNODES \
  --machine_rank \$SLURM_PROCID --main_process_ip $HEAD"
srun bash -c "$LAUNCH finetune.py --bf16"
