#!/bin/bash
#SBATCH -n 1
module use /projects/lab/modules
module load labtool/3.1 gcc/12
labtool run
