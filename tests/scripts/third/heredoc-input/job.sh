#!/bin/bash
#SBATCH -n 8
module load qe/7.2
cat > pw.in <<EOF
&control
 title = 'module load qe/6.0'
/
EOF
mpirun pw.x -in pw.in > pw.out
python3 - <<'EOF'
import os; os.system("module load python/2.7")
EOF
