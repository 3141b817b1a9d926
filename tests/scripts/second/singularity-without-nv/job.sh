#!/bin/bash
#SBATCH -J blastp-esm
#SBATCH -p gpu --qos=short
#SBATCH --gres gpu:v100:1
#SBATCH -c 8
#SBATCH --mem=60G
#SBATCH -t 240

# FIXME "CUDA not available" since the move to the new cluster, same image worked before?!
module load singularity/3.8.7

SIF_DIR=./images
SING="singularity exec"

singularity exec -B /db:/db:ro --no-home "$SIF_DIR/esm_sandbox" \
	python embed.py --fasta query.fa --device cuda \
	|| echo "cuda is gone again. try: singularity exec --nv $SIF_DIR/esm_sandbox nvidia-smi"

singularity exec -H $PWD:/home/alice docker://nvcr.io/nvidia/pytorch:24.05-py3 \
    python -c 'import torch; print(torch.cuda.is_available())' > cuda-check.txt 2>&1

singularity exec -B /db docker://ncbi/blast:2.15.0 \
    blastp -num_threads "${SLURM_CPUS_PER_TASK}" -query query.fa -db /db/nr -out hits.tsv -outfmt 6
