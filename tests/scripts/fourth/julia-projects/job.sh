#!/bin/bash
#SBATCH --gres=gpu:1 --cpus-per-task=8
module load julia/1.10.4 cuda/12.4
julia --project=. -e 'using Pkg; Pkg.instantiate(); Pkg.precompile()'
srun julia --project=. --threads=8 run.jl
