#!/bin/bash
#SBATCH --gres=gpu:1
podman run --rm --device nvidia.com/gpu=all -v "$PWD:/w:z" -w /w pytorch/pytorch:2.4.0-cuda12.4-cudnn9-runtime python t.py
