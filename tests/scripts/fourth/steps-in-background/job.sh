#!/bin/bash
#SBATCH --gres=gpu:4 -n 4
module load cuda/12.0
for i in 0 1 2 3; do
  srun --exclusive -n1 --gres=gpu:1 ./sweep --index $i > out.$i &
done
wait
