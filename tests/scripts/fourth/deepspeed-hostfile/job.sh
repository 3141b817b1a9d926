#!/bin/bash
#SBATCH -N 2 --gres=gpu:8
source /home/alice/miniconda3/bin/activate llm
scontrol show hostnames $SLURM_JOB_NODELIST | awk '{print $1" slots=8"}' > hostfile
deepspeed --hostfile hostfile --launcher pdsh --master_port 29501 pretrain.py --deepspeed_config ds.json
