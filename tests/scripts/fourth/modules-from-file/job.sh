#!/bin/bash
#SBATCH -n 8
while read -r name; do
  module load "$name"
done < modules.txt
module load $(cat extra_modules.txt)
mpirun ./wrf.exe
