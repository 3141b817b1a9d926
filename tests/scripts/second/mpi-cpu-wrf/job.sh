#!/bin/bash
#SBATCH -J wrf_d03
#SBATCH -p cpu
#SBATCH -N 16
#SBATCH --ntasks-per-node=56
#SBATCH -t 12:00:00
#SBATCH --no-requeue
##SBATCH --gres=gpu:4

module purge
module restore wrf-2024
MODS=( intel/2023.1 impi/21.9 netcdf/4.9.2 )
module load "${MODS[@]}"
module load UCX-CUDA/1.14.1-GCCcore-12.3.0-CUDA-12.1.1   # impi asks for it on this machine
ml parallel-netcdf/1.12.3 hdf5/1.14.0
module avail 2>&1 | grep -c 'module load'

prepare() {
    module load nco/5.1.6
    ln -sf "$WORK"/geo_em.d0{1,2,3}.nc .
    srun -n 1 -N 1 ./real.exe
}

main() {
    local start=$1
    source ./wrf_env.sh
    module load wrf/4.5.1
    ulimit -c 0 -s unlimited
    export WRFIO_NCD_LARGE_FILE_SUPPORT=1 I_MPI_PIN_DOMAIN=core
    prepare
    time mpirun -np "$SLURM_NTASKS" -ppn 56 ./wrf.exe "$start"
    tail -n1 rsl.error.0000
}

main "$@"
