#!/bin/bash
#SBATCH -n 32
source /cvmfs/software.eessi.io/versions/2023.06/init/bash
module load GROMACS/2024.1-foss-2023b
gmx_mpi mdrun -v -deffnm md
