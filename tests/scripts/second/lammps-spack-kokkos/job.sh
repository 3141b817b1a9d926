#!/bin/bash
#SBATCH --job-name=lj-kk
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=4
#SBATCH --gpus=8
#SBATCH --time=0-02:00
#SBATCH --export=NONE
unset SLURM_EXPORT_ENV

SPACK_ROOT=/shared/spack
. $SPACK_ROOT/share/spack/setup-env.sh
spack load cuda@12.2.1 %gcc@12.3.0
spack load lammps@20240829+kokkos+cuda cuda_arch=80 ^openmpi@4.1.6
# spack load cuda@11.8.0   # lammps 2022

srun --ntasks-per-node=1 bash -lc 'module load dcgm/3.3.6; dcgmi discovery -l' | sort -u

cat > bind_gpu.sh <<"EOF"
#!/bin/bash
# one GPU a rank
export CUDA_VISIBLE_DEVICES=$OMPI_COMM_WORLD_LOCAL_RANK
module load this-is-not-read/1.0
exec "$@"
EOF
chmod +x bind_gpu.sh

export OMP_PROC_BIND=spread OMP_PLACES=threads   # kokkos complains otherwise
KK="-k on g 1 -sf kk -pk kokkos newton on neigh half comm device"
for size in 64 128 256; do
  mpirun -np $SLURM_NTASKS --map-by ppr:4:node --bind-to core \
     ./bind_gpu.sh lmp $KK -var x $size -var y $size -in in.lj \
     -log log.$size.$SLURM_JOB_ID -screen none
done

srun --mpi=pmix -n 1 bash -c '
    # the movie, on the first node
    module load ovito/3.10.6
    for i in 1 2 3; do
        ovitos render.py --frame $i
    done
'
