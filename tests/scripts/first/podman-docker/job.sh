#!/bin/bash
#SBATCH --gres=gpu:1

podman run --rm --device nvidia.com/gpu=all -v "$PWD":/w -w /w \
    docker.io/pytorch/pytorch:2.4.0-cuda12.4-cudnn9-runtime \
    python train.py
podman run --rm docker.io/nvidia/cuda:13.0.1-base-ubuntu24.04 true
docker run --rm --gpus all -it nvidia/cuda:12.6.2-devel-rockylinux9 nvcc --version
docker run --rm --gpus all python:3.12-slim python -V
