#!/bin/bash
#SBATCH --gpus=2 --nodes=1
cat > run_$SLURM_JOB_ID.sh <<EOF
#!/bin/bash
module load cuda/12.0
./app \$SLURM_PROCID
EOF
chmod +x run_$SLURM_JOB_ID.sh
srun ./run_$SLURM_JOB_ID.sh
rm -f run_$SLURM_JOB_ID.sh
