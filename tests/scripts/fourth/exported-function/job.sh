#!/bin/bash
#SBATCH --gres=gpu:2
one() {
  apptainer exec --nv /shared/s.sif segment "$1"
}
export -f one
find data -name '*.nii' | parallel -j 2 one {}
