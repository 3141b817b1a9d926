#!/bin/bash
#SBATCH --job-name=md
#SBATCH --nodes=1
#SBATCH --gres=gpu:a100:2
#SBATCH --ntasks=2
#SBATCH --cpus-per-task=8
#SBATCH --array=1-20%4

module load 2023
module load GROMACS/2023.3-foss-2023a-CUDA-12.1.1-PLUMED-2.9.0

RUN=run_${SLURM_ARRAY_TASK_ID}
cd "$RUN" || exit 1
export OMP_NUM_THREADS=$SLURM_CPUS_PER_TASK
gmx_mpi grompp -f md.mdp -c npt.gro -p topol.top -o md.tpr
srun gmx_mpi mdrun -deffnm md -nb gpu -pme gpu -npme 1 -maxh 23.5
