#!/bin/bash
#SBATCH --gpus-per-node=h100:4 -N1
export HF_HOME=/scratch/hf
apptainer run --nv --env HF_TOKEN=$HF_TOKEN docker://vllm/vllm-openai:v0.6.3 --model m -tp 4 &
server=$!
until curl -s localhost:8000/health; do sleep 5; done
/home/alice/client/bin/python bench.py
kill $server; wait
