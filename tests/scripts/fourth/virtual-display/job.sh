#!/bin/bash
#SBATCH --gres=gpu:1
xvfb-run -a -s "-screen 0 1024x768x24" python render.py
xvfb-run -a ./blender/blender -b scene.blend -f 1
