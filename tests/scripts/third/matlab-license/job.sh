#!/bin/sh
#SBATCH -L matlab@srv:1
#SBATCH -c 4
. /etc/profile.d/modules.sh
module load matlab/R2023b
matlab -nodisplay -r "run('main.m'); exit" < /dev/null
