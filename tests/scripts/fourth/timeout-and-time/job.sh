#!/bin/bash
#SBATCH --gpus=1
cd run || exit 1
{ time timeout --signal=USR1 23h srun -u ./md.x -i in.nml; } 2> time.log
( cd post && timeout 1h /usr/bin/time -v ../bin/post.x )
