#!/bin/bash
#SBATCH -n 4
module load fftw/3.3.10 2>/dev/null || module load FFTW
./solver
