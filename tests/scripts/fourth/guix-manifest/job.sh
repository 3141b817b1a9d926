#!/bin/sh
#SBATCH -p gpu --gres=gpu:1
exec guix shell -m manifest.scm -- python3 fit.py
