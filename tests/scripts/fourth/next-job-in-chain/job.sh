#!/bin/bash
#SBATCH -n 16 --time=24:00:00
next=$(sbatch --parsable --dependency=afterany:$SLURM_JOB_ID "$0")
trap 'scancel "$next"' TERM
module load intel/2023.2 && module load impi/2021.10 && module load vasp/6.4.2
mpirun vasp_std > vasp.out || { echo failed >&2; exit 1; }
grep -q 'reached required accuracy' OUTCAR && scancel "$next"
