#!/bin/sh
#SBATCH -N 1
#SBATCH -n 16
#SBATCH --gres=gpu:1
#SBATCH -t 2-0
#SBATCH -J namd_apoa1
#SBATCH --requeue
 #SBATCH --gres=gpu:4
#SBATCH --gres=gpu:2
#sbatch --gres=gpu:3

module load shared
# four would be nice. Why does slurm ignore this??
#SBATCH --gres=gpu:8
module add cuda11.8/toolkit/11.8.0
module load namd/3.0b6-cuda && module load vmd/1.9.4

case `hostname -s` in
    gpu0*) module load ucx/1.14.0 ;;
    bigmem*)
        echo "wrong node!" ; exit 2 ;;
    *) : ;;
esac

[ -z "$SLURM_RESTART_COUNT" ] || module load namd-tools/restart

cd $SLURM_SUBMIT_DIR
CONF=${1-apoa1.namd}
LOG=`basename $CONF .namd`.$SLURM_JOB_ID.log
if [ -f apoa1.restart.coor ]; then CONF=apoa1-continue.namd; fi

cat << EOT
 Job        $SLURM_JOB_ID on `hostname`
 Config     $CONF
 to repeat: srun -N1 --gres=gpu:2 --container-image=nvcr.io#hpc/namd:3.0-beta2 namd3 $CONF
EOT

nvidia-smi -L | tee gpus.txt
time namd3 +p$SLURM_NTASKS +setcpuaffinity +devices 0,1 $CONF > $LOG 2>&1
rc=$?
tail -n 3 $LOG | grep -q 'End of program' || { echo failed with $rc >&2; exit $rc; }
