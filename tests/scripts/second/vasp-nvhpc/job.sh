#!/bin/bash
#SBATCH --account=s1234   --job-name=hfo2-relax
#SBATCH --nodes=2 --ntasks-per-node=4 --gpus-per-node=nvidia_gh200:4 --cpus-per-task=72
#SBATCH --time=06:00:00
#SBATCH --constraint=gpu
#SBATCH --hint=nomultithread

ulimit -s unlimited
module swap PrgEnv-gnu PrgEnv-nvidia
module load nvhpc/24.5
module load cudatoolkit/24.11_12.6 craype-accel-nvidia90
{ module load cray-hdf5/1.14.3.1
  module load cray-fftw; } 2>/dev/null
( module load python/3.11-cray; python3 -c 'print("module load nothing")' )
module load "${VASP_MODULE:-vasp/6.4.3-gpu}"
module -t list 2>&1 | sort > modules.$SLURM_JOB_ID

export MPICH_GPU_SUPPORT_ENABLED=1 ; export OMP_NUM_THREADS=8 OMP_STACKSIZE=512m
export NCCL_DEBUG=VERSION
export LD_LIBRARY_PATH=$NVHPC/Linux_aarch64/24.5/compilers/extras/qd/lib:$LD_LIBRARY_PATH

checkpoint() { # 5 min before the end: let VASP write WAVECAR
	for d in disp-*/; do printf 'LSTOP = .TRUE.\n' > "$d/STOPCAR"; done
}
trap checkpoint TERM

for d in disp-*/
do
	[[ -s $d/OUTCAR ]] && grep -q 'General timing' "$d/OUTCAR" && continue
	( cd "$d" && cp -n ../{INCAR,KPOINTS,POTCAR} . &&
	  srun --cpu-bind=socket --gpus-per-task=1 ../gpu_wrapper.sh vasp_std > vasp.out 2> vasp.err )
done
wait

timeout 10m stdbuf -oL numactl --cpunodebind=0 \
  /users/alice/venvs/phono/bin/python collect.py disp-*/vasprun.xml
