#!/bin/bash
#SBATCH -c 16
if module is-avail blast-plus; then
  module load blast-plus/2.14.1
else
  source ~/miniforge3/bin/activate blast
fi
blastp -num_threads 16 -query q.fa -db nr -out hits.txt
