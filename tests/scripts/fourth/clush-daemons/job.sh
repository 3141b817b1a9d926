#!/bin/bash
#SBATCH -N 2 -G 2
clush -bw "$SLURM_JOB_NODELIST" uptime
clush -bw "$SLURM_JOB_NODELIST" -- apptainer exec --nv /shared/img/llm.sif python -m serve
