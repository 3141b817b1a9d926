#!/bin/bash
#SBATCH -n 64
module load charliecloud/0.38
srun ch-run -w -b /lustre:/lustre --set-env /lustre/img/wrf -- /opt/wrf/wrf.exe
