#!/bin/bash -l
#SBATCH -A EUHPC_D02_044
#SBATCH -p boost_usr_prod
#SBATCH -N 2 --ntasks-per-node=1 --cpus-per-task=32
#SBATCH --gres=gpu:4
#SBATCH --exclusive
#SBATCH -t 1-00:00:00
##SBATCH --gres=gpu:1 --qos=boost_qos_dbg
#SBATCH -o ds-%j.log -e ds-%j.log
#SBATCH --open-mode=append --signal=B:SIGUSR1@180

WORKDIR=/leonardo_work/EUHPC_D02_044/alice
VENV=${WORKDIR}/venvs/ds

load_stack () {
	# order matters: profile first
	module --force purge
	module load profile/deeplrn
	module load gcc/12.2.0 \
		cuda/12.1 \
		nccl/2.19.1-1--gcc--12.2.0-cuda-12.1
	source "$VENV"/bin/activate
}

on_usr1 () {
	module load saldo
	saldo -b EUHPC_D02_044 || true
	scontrol requeue $SLURM_JOB_ID
}
trap 'on_usr1' SIGUSR1

load_stack

cat > zero3.json <<-EOF
	{
	  "_comment": "written by the job. module load cuda/11.4 is too old for this;
	    apptainer exec --nv /images/ds.sif works as well",
	  "train_micro_batch_size_per_gpu": 2,
	  "zero_optimization": { "stage": 3, "offload_param": {"device": "none"} },
	  "bf16": { "enabled": true }
	}
	EOF

HOSTFILE=hosts.$SLURM_JOB_ID; : > "$HOSTFILE"
for h in $(scontrol show hostnames $SLURM_JOB_NODELIST); do
	echo "$h slots=4" >> "$HOSTFILE"
done
export MASTER_ADDR=$(head -n1 "$HOSTFILE" | cut -d' ' -f1)
export PDSH_SSH_ARGS_APPEND="-o StrictHostKeyChecking=no"
export DS_SKIP_CUDA_CHECK=1   TORCH_CUDA_ARCH_LIST=8.0

deepspeed --hostfile="$HOSTFILE" --num_gpus 4 \
	--master_addr $MASTER_ADDR --master_port 29400 --launcher pdsh \
	finetune.py --model mistralai/Mistral-7B-v0.1 --deepspeed zero3.json \
	> "train.$SLURM_JOB_ID.out" 2>&1 &
wait
