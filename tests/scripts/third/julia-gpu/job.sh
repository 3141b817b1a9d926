#!/bin/bash
#SBATCH --gres=gpu:2
#SBATCH -c 8
module load julia/1.10.4 && module load cuda/12.2.1
export JULIA_NUM_THREADS=$SLURM_CPUS_PER_TASK
julia --project=. -e 'using Pkg; Pkg.instantiate()' && julia --project=. main.jl
