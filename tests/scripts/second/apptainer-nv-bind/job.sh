#!/bin/bash
#SBATCH --job-name=openmm-fep
#SBATCH --partition=a100
#SBATCH --nodes=1 --ntasks=1 --cpus-per-task=16
#SBATCH --gpus-per-node=a100:2
#SBATCH --time=20:00:00

module load apptainer/1.3.3

CONTAINERS=$HOME/containers
IMG=$CONTAINERS/openmm_sandbox
DATA=/scratch/alice/fep

export APPTAINER_CACHEDIR=/scratch/$USER/.apptainer
export APPTAINERENV_OPENMM_CPU_THREADS=16

# 1. equilibrate
apptainer exec --nv \
    --bind "$DATA":/data,"$PWD":/sim --pwd /sim \
    -B /etc/localtime \
    "$IMG" \
    python3 equil.py --platform CUDA --in /data/complex.pdb

# 2. the windows, two at a time. Inside, conda is there already
for w in $(seq 0 2 22); do
    for g in 0 1; do
        CUDA_VISIBLE_DEVICES=$g apptainer run --nv "$IMG" window.py $((w + g)) &
    done
    wait
done

# 3. the network's correction; this image brings cuda-compat
srun -n1 apptainer exec --nv --cleanenv --env "OMP_NUM_THREADS=4" \
	$CONTAINERS/ani2x/ bash -c 'source /opt/conda/bin/activate ani && python /sim/correct.py'

# 4. plots, with what the students use
apptainer exec --nv -B "$DATA" docker://pytorch/pytorch:2.4.0-cuda12.1-cudnn9-runtime \
    python plots.py "$DATA"   # apptainer exec docker://nvidia/cuda:12.6.3-base-ubuntu22.04 nvidia-smi
