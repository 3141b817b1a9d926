#!/bin/bash
#SBATCH --job-name smk-rnaseq
#SBATCH --time 3-00:00:00
#SBATCH --ntasks 1
#SBATCH --cpus-per-task 2
#SBATCH --mem 4G
#SBATCH --output logs/smk_%j.out

export MAMBA_EXE=$HOME/bin/micromamba MAMBA_ROOT_PREFIX=$HOME/micromamba
eval "$("$MAMBA_EXE" shell hook --shell bash --root-prefix "$MAMBA_ROOT_PREFIX" 2> /dev/null)"
micromamba activate smk8

if ! command -v apptainer > /dev/null
then
    module load apptainer/1.2.5
fi

mkdir -p profiles/slurm logs
cat > profiles/slurm/config.v8+.yaml <<"YAML"
executor: slurm
jobs: 100
use-envmodules: true       # module load bwa/0.7.17 and so on, by the rules
use-singularity: true
singularity-args: "--nv -B /scratch,/ref"
default-resources: [slurm_partition=short, runtime=120, mem_mb=4000]
set-resources:
  basecall:
    slurm_extra: "'--gres=gpu:2'"
YAML

snakemake --unlock --profile profiles/slurm || :
n=0
until snakemake --profile profiles/slurm --rerun-incomplete --keep-going "$@"; do
    n=$((n + 1)); [ "$n" -ge 3 ] && exit 1
    echo "try $n failed, again in 5 minutes" | mail -s "smk $SLURM_JOB_ID" "$USER"
    sleep 300
done

# conda run -n qc multiqc .      (too old)
micromamba run -p /home/alice/envs/qc multiqc results/ --outdir results/qc
