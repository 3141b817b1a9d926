#!/bin/bash
#SBATCH -n 3
module load intel/2024
srun --multi-prog tasks.conf
