#!/bin/bash
#SBATCH -N 2 --ntasks-per-node=8 --gpus-per-node=8
ml NVHPC/24.3
srun hostname -s | sort > hosts.$SLURM_JOB_ID
mpirun --hostfile hosts.$SLURM_JOB_ID --mca btl ^openib -x UCX_TLS=rc,cuda \
  --bind-to core ./gromacs/bin/gmx_mpi mdrun -s topol.tpr
