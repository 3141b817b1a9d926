#!/usr/bin/env bash
#SBATCH --job-name="llama3 lora (bf16)"
#SBATCH --partition=gpu-shared
#SBATCH --nodes=1
#SBATCH --gres=gpu:1            # sbatch --gres=gpu:a100:2 lora.sh for the 8B one
#SBATCH --cpus-per-task=12
#SBATCH --mem=96G
#SBATCH --time=08:00:00
#SBATCH --mail-type=END,FAIL --mail-user=alice@example.edu

module purge && module load anaconda3/2023.09-0 || exit 1

eval "$(conda shell.bash hook)"
conda activate lora

set -a; source .env; set +a        # WANDB_API_KEY and friends
[ -f "$HOME/.hf_token" ] && export HF_TOKEN=$(<"$HOME/.hf_token")

if [[ -n "${NIGHTLY:-}" ]]; then
    # flash-attn 3 is only in here
    conda deactivate
    conda activate lora-nightly
fi

cat <<'YAML' > accelerate.$SLURM_JOB_ID.yaml
compute_environment: LOCAL_MACHINE
distributed_type: MULTI_GPU
num_processes: 2
# conda activate something-else
main_training_function: main
YAML

OUT="runs/${SLURM_JOB_NAME// /_}/$SLURM_JOB_ID"
mkdir -p "$OUT"
PYTHONUNBUFFERED=1 accelerate launch \
    --config_file accelerate.$SLURM_JOB_ID.yaml \
    --mixed_precision bf16 --num_processes 2 \
    lora.py --base meta-llama/Meta-Llama-3-8B --r 16 \
            --output "$OUT" 2>&1 | tee "$OUT/log.txt"
