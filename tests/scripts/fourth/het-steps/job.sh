#!/bin/bash
#SBATCH -n 1 --mem=64G
#SBATCH hetjob
#SBATCH -N 2 --gpus-per-node=4
module load hdf5/1.14
srun --het-group=0 ./io_server : --het-group=1 --container-image=/shared/fluid.sqsh fluid --in x.toml
