#!/bin/bash
#SBATCH --job-name=ti_lambda_05
#SBATCH --partition=gpu
#SBATCH --gpus=1
#SBATCH --ntasks=1
#SBATCH --mem-per-cpu=4G
#SBATCH --time=24:00:00
#SBATCH --error=%x.err

source /usr/share/lmod/lmod/init/bash
module -q switch gcc gcc/11.2.0
module swap openmpi/3.1.6 openmpi/4.1.4
module load cuda amber/22-cuda_11.7
ml use /projects/chem/modules ; ml load parmed/4.1.0

export AMBERHOME=/sw/chem/amber22
source $AMBERHOME/amber.sh          # belt and braces

window=0.5
sed -e "s/%L%/$window/g" > md.in <<EOF
TI production, lambda $window
 &cntrl
   imin=0, ntx=5, irest=1, nstlim=5000000, dt=0.002,
   icfe=1, clambda=%L%, ifsc=1, timask1=':LIG', timask2=':MOL',
   gti_lam_sch = 1,   ! module load amber/24 for this one
 /
EOF

test -s heat.rst7 || pmemd.cuda -O -i heat.in -p complex.parm7 -c min.rst7 -r heat.rst7 -o heat.out
nohup pmemd.cuda -O -i md.in -p complex.parm7 -c heat.rst7 \
	-r md.rst7 -x md.nc -o md.out -inf mdinfo &
pid=$!
while kill -0 $pid 2> /dev/null; do
  sleep 600; tail -n 12 mdinfo
done
wait $pid

# MBAR afterwards, on the CPU
conda activate alchemlyb
python -m alchemlyb_wrap --out dvdl.csv md.out
