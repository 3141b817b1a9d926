#!/bin/bash
#SBATCH --gres=gpu:1
set -eu
setup() {
  module purge
  module load Python/3.11.3-GCCcore-12.3.0
  source "$VENV/bin/activate"
}
main() {
  local VENV=$1
  setup
  python infer.py
}
main /home/alice/venvs/llm
