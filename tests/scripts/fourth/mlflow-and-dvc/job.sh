#!/bin/bash
#SBATCH --gres=gpu:1
mlflow run . -P lr=0.1
dvc repro train
make -j8 && make train
