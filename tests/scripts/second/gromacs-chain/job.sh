#!/bin/bash
#SBATCH -J prod_md
#SBATCH -p gpu
#SBATCH -N1
#SBATCH -n 1 -c 16
#SBATCH -G 2
#SBATCH -t 48:00:00
#SBATCH -o gmx_%j.out

## environment -----------------------------------------------------------
. /etc/profile.d/modules.sh
module unload gromacs
#module load gromacs/2021.5-cuda11.4
module load gromacs/2024.4/gcc-13.2.0_cuda-12.6.2
for extra in plumed/2.9.2 dssp; do module load $extra; done
module try-load nvtop

export GMX_ENABLE_DIRECT_GPU_COMM=1 GMX_GPU_PME_DECOMPOSITION=1
export OMP_NUM_THREADS=$((SLURM_CPUS_PER_TASK/2))
gmx="gmx -quiet"; NSTEPS=$(( 1 << 20 ))

cat > prod.mdp << 'end-of-mdp'
title       = production; made by the job after module load gromacs/2024.4
integrator  = md
dt          = 0.002
nsteps      = 50000000   ; singularity run --nv would be slower
end-of-mdp

function step {
  local name=$1 prev=$2
  [ -f $name.gro ] && return 0
  $gmx grompp -f $name.mdp -c $prev.gro -p topol.top -o $name.tpr -maxwarn 1
  $gmx mdrun -deffnm $name -ntmpi 2 -ntomp $OMP_NUM_THREADS -nb gpu -pme gpu -npme 1 \
       -bonded gpu -update gpu -cpi $name.cpt -maxh 47.5
}

step nvt em && step npt nvt && step prod npt

if [ ! -f prod.gro ]; then
  echo "not finished. To go on by hand:
    module load gromacs/2021.5
    sbatch $0"
  sbatch --dependency=afterany:$SLURM_JOB_ID "$0"
  exit 0
fi

# trajectories -> features (OpenMM, MDTraj)
pixi run -q python analyse.py --traj prod.xtc --top prod.gro
