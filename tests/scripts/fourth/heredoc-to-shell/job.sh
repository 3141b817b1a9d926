#!/bin/bash
#SBATCH -n 2
srun bash -s <<'INNER'
module load gcc/13
./a.out
INNER
echo done
