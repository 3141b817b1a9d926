#!/bin/bash -x
#SBATCH --account=hai_nested
#SBATCH --partition=booster
#SBATCH --nodes=8
#SBATCH --ntasks-per-node=4
#SBATCH --cpus-per-task=12
#SBATCH --gpus-per-task=1
#SBATCH --time=06:00:00
#SBATCH --output=%x.%j.%N.out
#SBATCH --hint=nomultithread

jutil env activate -p hai_nested -A hai_nested

ml --force purge
ml Stages/2024 GCC/12.3.0 OpenMPI/4.1.5
ml load CUDA/12 cuDNN/8.9.5.29-CUDA-12
ml -GDRCopy
ml Python/3.11.3 mpi4py/3.1.4
ml
# ml JAX/0.4.25-CUDA-12.2   <- too old, hence the venv

. ./venv_jax/bin/activate

cd $SLURM_SUBMIT_DIR

export XLA_PYTHON_CLIENT_PREALLOCATE=true \
       XLA_PYTHON_CLIENT_MEM_FRACTION=.92
export NCCL_SOCKET_IFNAME=ib0 NCCL_IB_TIMEOUT=50
export SRUN_CPUS_PER_TASK="$SLURM_CPUS_PER_TASK"
COORD="$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)i"
export JAX_COORDINATOR_ADDRESS="$COORD":12321
# one process a GPU: jax.distributed.initialize() finds the rest in SLURM_*
srun --mpi=pspmix --cpu-bind=none,v --distribution=block:cyclic:fcyclic \
    env CUDA_VISIBLE_DEVICES=0,1,2,3 python3 -u train_gemma.py \
	    --mesh 8x4 --steps "${STEPS:-20000}" --ckpt "$SCRATCH/ckpt/$SLURM_JOB_ID"
