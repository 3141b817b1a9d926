#!/bin/bash
#SBATCH -n 64
module load buildtool-easybuild/4.8.0
mpprun ./elk
