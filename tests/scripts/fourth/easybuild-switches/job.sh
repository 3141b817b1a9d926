#!/bin/bash -l
#SBATCH --gpus=1 -N1
ml purge > /dev/null 2>&1
ml GCC/12.3.0 OpenMPI/4.1.5
ml -FFTW PyTorch/2.1.2-CUDA-12.1.1
ml swap OpenMPI/4.1.5 OpenMPI/4.1.6
ml list 2>&1 | tee modules.log
python -c 'import torch; print(torch.cuda.is_available())'
python main.py
