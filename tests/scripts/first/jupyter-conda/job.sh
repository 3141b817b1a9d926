#!/bin/bash
#SBATCH --job-name=jupyter
#SBATCH --gres=gpu
#SBATCH --mem=32G
#SBATCH --time=08:00:00

eval "$(conda shell.bash hook)"
conda activate analysis

port=$(shuf -i 8000-9999 -n 1)
node=$(hostname -s)
cat <<EOF > jupyter-$SLURM_JOB_ID.txt
ssh -N -L ${port}:${node}:${port} $USER@login
module load cuda/99.9 is what you would type there
EOF

jupyter lab --no-browser --port=${port} --ip=${node}
