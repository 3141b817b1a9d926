#!/bin/bash
#SBATCH --array=1-100
#SBATCH --cpus-per-task=2
out=results/$SLURM_ARRAY_TASK_ID.csv
[[ -s $out ]] && { echo "done already"; exit 0; }
module load R/4.3.2-gfbf-2023a
Rscript fit.R "$SLURM_ARRAY_TASK_ID" > "$out.tmp" && mv "$out.tmp" "$out"
