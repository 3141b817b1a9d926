#!/bin/bash
#SBATCH --gres=gpu:2 --signal=B:USR1@120 --requeue
module load cuda/12.4
requeue() {
  echo "signal: requeueing"
  scontrol requeue "$SLURM_JOB_ID"
  exit 0
}
trap requeue USR1
trap 'cp -r "$TMPDIR"/ckpt "$SLURM_SUBMIT_DIR"' EXIT
srun python train.py --resume auto &
wait $!
