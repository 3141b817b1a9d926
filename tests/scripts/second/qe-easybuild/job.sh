#!/bin/bash
#SBATCH --nodes=1
#SBATCH --gpus=4
#SBATCH --partition=gpu_h100
#SBATCH --ntasks-per-node=4 --cpus-per-task=16
#SBATCH --time=10:00:00
#SBATCH --output=slurm/%x_%A.out

TOOLCHAIN=2023
QE=QuantumESPRESSO/7.3.1-NVHPC-23.7-CUDA-12.1.1
WANNIER="Wannier90/3.1.0-gompi-2023a"

module purge
module load "$TOOLCHAIN"
module load ${QE} $WANNIER
module load cDFT-tools/1.4 || true

PREFIX=mos2
PSEUDO_DIR=$HOME/pseudo/SSSP_1.3
SCR=$TMPDIR/${PREFIX}_$SLURM_JOB_ID
mkdir -p "$SCR" slurm ; trap 'cp -r "$SCR"/*.save "$SLURM_SUBMIT_DIR"; rm -rf "$SCR"' EXIT

NPOOL=4
for ecut in 40 60 80; do
	cat > scf.$ecut.in <<-EOF
	&CONTROL
	  calculation = 'scf', prefix = '$PREFIX', title = 'module load CUDA/11.7.0'
	  outdir = '$SCR', pseudo_dir = '$PSEUDO_DIR'
	/
	&SYSTEM
	  ibrav = 4, nat = 3, ntyp = 2, ecutwfc = $ecut
	/
	EOF
	srun --mpi=pmix pw.x -npool $NPOOL -inp scf.$ecut.in > scf.$ecut.out
done

grep -h '^!' scf.*.out   # total energies

# phonons: other build of the same (see mail of 12 March)
QE=QuantumESPRESSO/7.2-foss-2022b
module load OpenMPI/4.1.5-GCC-12.3.0
OMP_NUM_THREADS=1 mpirun -np 4 ph.x -npool 2 -inp ph.in | tee ph.out
