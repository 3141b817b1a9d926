#!/bin/bash
#SBATCH -N 2 --gpus-per-node=8
read -r -d '' CMD <<'EOF'
cd /workspace
torchrun --nproc_per_node=8 main.py
EOF
srun --container-image=nvcr.io#nvidia/nemo:24.07 --container-mounts=$PWD:/workspace bash -c "$CMD"
srun bash -c "$CMD"
