#!/bin/bash
#SBATCH --gres=gpu:1
exec 9> .lock
flock 9
module load cuda/12.0
flock -u 9
nice -n 5 ionice -c 3 ./encode in.mp4
