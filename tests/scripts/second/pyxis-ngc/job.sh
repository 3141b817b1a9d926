#!/bin/bash
#SBATCH -A llm_pretrain -p batch -J llm:gpt3-8b
#SBATCH -N 4 --gpus-per-node=8 --ntasks-per-node=1 --exclusive --mem=0
#SBATCH -t 04:00:00 --dependency=singleton
#SBATCH --output=%x_%j.out

set -eux -o pipefail

IMAGE="nvcr.io#nvidia/pytorch:24.05-py3"
# IMAGE="nvcr.io#nvidia/pytorch:23.10-py3"
BASE=/lustre/fsw/llm
MOUNTS="$BASE/data:/data:ro,$BASE/ckpt:/ckpt,$HOME/.cache:/root/.cache"
export MASTER_PORT=6000 MASTER_ADDR=$(scontrol show hostname $SLURM_NODELIST | head -n1)
export CUDA_DEVICE_MAX_CONNECTIONS=1

DISTRIBUTED="--nproc-per-node 8 --nnodes $SLURM_NNODES --rdzv-endpoint $MASTER_ADDR:$MASTER_PORT"
read -r -d '' CMD <<EOF || true
cd /workspace/megatron \
&& source /opt/venv/bin/activate && module load nothing/here \
&& torchrun $DISTRIBUTED pretrain_gpt.py --tensor-model-parallel-size 8 --bf16
EOF

nvidia-smi -q -d ECC | grep -c 'Double' || true

srun --container-image="${IMAGE}" \
     --container-mounts="$MOUNTS" \
     --container-workdir=/workspace --no-container-mount-home \
     bash -c "$CMD"

srun -N1 -n1 --container-image "$IMAGE" --container-mounts=$MOUNTS \
     bash -c 'source /opt/venv/bin/activate; python tools/convert.py --ckpt /ckpt/latest --to hf'

# our own, with the harness in it
srun -N1 -n1 --gpus-per-node=1 --container-image=nvcr.io#acme-research/llm/harness:2024-11-rc3 \
     python -m lm_eval --model hf --model_args pretrained=/ckpt/hf
srun -N1 -n1 --container-image=./report.sqsh --container-mount-home make-report /ckpt/hf
