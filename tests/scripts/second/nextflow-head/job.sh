#!/bin/bash
#SBATCH --job-name=nf-sarek-head
#SBATCH --partition=long
#SBATCH --cpus-per-task=2 --mem=8G
#SBATCH --time=7-00:00:00
#SBATCH --output=nf-%j.log
#SBATCH --comment="head job only; the GPUs are asked for by the processes (--gres=gpu:1)"

set -euo pipefail
module load openjdk/17.0.8 nextflow/24.04.4
module load apptainer/1.3.4      # runs on the nodes of the processes, not here
module load cuda/12.1            # parabricks wanted it once

export NXF_HOME=$HOME/.nextflow  NXF_OPTS='-Xms1g -Xmx6g'
export NXF_APPTAINER_CACHEDIR=/scratch/$USER/nxf-images
export APPTAINER_BINDPATH="/scratch,/ref"

OUT=/scratch/$USER/sarek-$SLURM_JOB_ID
mkdir -p "$NXF_APPTAINER_CACHEDIR" "$OUT"

cat > site.config <<'CFG'
process {
  executor = 'slurm'
  queue    = 'short'
  withLabel: gpu {
    queue          = 'gpu'
    clusterOptions = '--gres=gpu:a100:1'
    container      = 'nvcr.io/nvidia/clara/clara-parabricks:4.3.1-1'
    containerOptions = '--nv'
    beforeScript   = 'module load cuda/12.4; source /opt/parabricks/bin/activate'
  }
}
apptainer { enabled = true; autoMounts = true }
CFG

function on_exit() {
    rc=$?
    [[ $rc -eq 0 ]] || echo "nextflow ended with $rc; go on with -resume" >&2
}
trap on_exit EXIT

nextflow -c site.config run nf-core/sarek -r 3.4.2 \
    -profile apptainer,gpu \
    -work-dir "$OUT/steps" --outdir "$OUT/results" \
    --input samples.csv --genome GATK.GRCh38 \
    -resume -ansi-log false
