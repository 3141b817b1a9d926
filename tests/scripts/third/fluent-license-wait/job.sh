#!/bin/bash
#SBATCH -n 64
until lmstat -a -c $LIC | grep -q ANSYS; do sleep 60; done
module load ansys/2024R1
fluent 3ddp -t64 -g -i run.jou > run.log 2>&1 || { echo "fluent failed"; exit 1; }
