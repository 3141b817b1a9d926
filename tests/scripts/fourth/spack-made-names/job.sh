#!/bin/bash
#SBATCH --gres=gpu:1
module use /opt/spack/share/spack/modules/linux-rocky9-zen3
module load cuda-12.3.0-gcc-12.3.0-k3v2qqp
module load gcc-12.3.0-gcc-11.4.1-aaaa
nvcc --version
./probe.x
