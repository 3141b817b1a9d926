#!/bin/bash
#SBATCH --job-name=sweep
#SBATCH --array=2-49%8
#SBATCH --cpus-per-task=4
#SBATCH --time=02:00:00
#SBATCH --output=logs/%A_%a.out
# GPU: from the lab's profile (export SBATCH_GRES=gpu:1)

PARAMS=params.csv                      # lr,bs,seed,image
line=$(sed -n "${SLURM_ARRAY_TASK_ID}p" "$PARAMS")
IFS=',' read -r lr bs seed img <<< "$line"
[[ -z $line ]] && { echo "no line $SLURM_ARRAY_TASK_ID in $PARAMS"; exit 1; }
[[ -f done/$SLURM_ARRAY_TASK_ID ]] && exit 0
(( seed = seed << 2 ))

ROOT=/home/alice/venvs
VENV=$ROOT/sweep

# source $VENV/bin/activate      # not needed, see below
srun -u --ntasks=1 \
	"$VENV/bin/python" -u train.py \
		--lr "$lr" --batch-size "$bs" --seed "$seed" \
		--out "out/$SLURM_ARRAY_JOB_ID/$SLURM_ARRAY_TASK_ID" \
	|| { echo "train failed: $line" >> failed.txt; exit 1; }

# the scorer of the other group comes as an image, one for each row
apptainer exec --nv -B "$PWD":/data "$img" \
    /opt/score/bin/python /opt/score/score.py --in "/data/out/$SLURM_ARRAY_JOB_ID/$SLURM_ARRAY_TASK_ID"

touch done/$SLURM_ARRAY_TASK_ID
