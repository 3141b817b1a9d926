#!/bin/bash
#SBATCH --job-name=rag-serve
#SBATCH --partition=h100
#SBATCH --gres=gpu:h100:2,tmpfs:200
#SBATCH --cpus-per-task=24
#SBATCH --mem=180G
#SBATCH --time=1-0

set -Eeuo pipefail
export XDG_RUNTIME_DIR=/tmp/podman-$UID-$SLURM_JOB_ID
mkdir -p -m 700 "$XDG_RUNTIME_DIR"
podman load -q -i /shared/images/vllm-ours.tar

cleanup() { podman stop -t 5 redis vllm || true; podman system reset -f; }
trap cleanup EXIT

# a vector store; needs no GPU
podman run -d --rm --name redis -p 127.0.0.1:6379:6379 -v "$PWD/redis":/data docker.io/redis/redis-stack-server:7.4.0-v1

# is the card there at all?
podman run --rm --security-opt=label=disable \
       --device nvidia.com/gpu=all \
       docker.io/nvidia/cuda:12.4.1-runtime-ubuntu22.04 nvidia-smi -L

# index, GPU not wanted: faiss on the CPU is enough here
podman run --rm --userns keep-id -e OMP_NUM_THREADS=24 -v "$PWD":/w -w /w \
       docker.io/pytorch/pytorch:2.5.1-cuda12.4-cudnn9-runtime python index.py

podman run -d --rm --name vllm --ipc=host --shm-size 16g \
       --device=nvidia.com/gpu=all -v "$HOME/.cache/huggingface":/root/.cache/huggingface \
       localhost/vllm-ours:2025-05 --model mistralai/Mistral-Small-24B --tensor-parallel-size 2

cat <<'NOTE'
On a workstation the same is
   docker run --gpus all vllm/vllm-openai:v0.8.5
NOTE

until curl -sf http://127.0.0.1:8000/health; do sleep 10; done
podman run --rm --network host --gpus all pytorch/pytorch:2.3.1-cuda11.8-cudnn8-runtime \
    python /w/rerank_bench.py --url http://127.0.0.1:8000
