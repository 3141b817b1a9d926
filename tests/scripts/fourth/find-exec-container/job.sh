#!/bin/bash
#SBATCH -c 4
module load singularity/3.11
find /data -name '*.fq.gz' -exec singularity exec qc.sif fastqc {} \;
printf '%s\n' a b | xargs -P 2 -I{} singularity exec qc.sif multiqc {}
