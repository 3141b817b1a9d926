#!/bin/bash
#SBATCH --gres=gpu:1
module load namd/3.0-cuda12.1
last=$(ls -v run.*.coor 2>/dev/null | tail -1)
n=${last//[^0-9]/}
while (( ${n:-0} < 10 )); do
  n=$(( ${n:-0} + 1 ))
  charmrun ++local +p8 ./namd3 run.$n.conf > run.$n.log
done
