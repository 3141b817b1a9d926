#!/bin/bash
#SBATCH --gpus-per-node=2 --nodes=1

set -e
export ENROOT_DATA_PATH=/tmp/enroot-$USER
enroot import -o /tmp/tf.sqsh docker://nvcr.io#nvidia/tensorflow:23.10-tf2-py3
enroot create --name tf /tmp/tf.sqsh
enroot start --rw --mount $PWD:/w tf python /w/train.py
enroot start other nvidia-smi
