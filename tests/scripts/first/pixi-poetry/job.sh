#!/bin/bash
#SBATCH --gpus-per-node=4
#SBATCH --nodes=1
#SBATCH --signal=B:USR1@300

trap 'scontrol requeue $SLURM_JOB_ID' USR1

(
  cd sim
  pixi run -e gpu python relax.py
)
poetry run python report.py
time pixi run python -m torch.distributed.run --nproc_per_node=4 train.py &
pid=$!
wait $pid
exit $?
module load never/1.0
