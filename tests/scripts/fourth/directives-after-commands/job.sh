#!/bin/bash
#SBATCH -n 4
#SBATCH --time=10:00

module load openmpi/4.1.6
#SBATCH --gres=gpu:2
#SBATCH --container-image=/shared/late.sqsh
module load cuda/12.1
mpiexec ./cpu_code
