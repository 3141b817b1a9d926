#!/bin/bash
#SBATCH --gpus 1
#SBATCH --nodes 1

for m in gcc/12 cuda/12.4 openmpi/5; do
    module load "$m"
done

case "$SLURM_JOB_PARTITION" in
    a100) module load cuda/11.8 ;;
    h100) ml cuda/12.3 ;;
esac

module load fftw/3.3.10 || module load fftw/3.3.9
setup() {
    module load hdf5/1.14.3
    export HDF5_USE_FILE_LOCKING=FALSE
}
debug() { module load gdb/14; }
setup

while read -r line; do echo "$line"; done < list.txt
./solve
