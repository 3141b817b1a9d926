#!/bin/bash
#SBATCH --job-name=jlab
#SBATCH --partition=interactive
#SBATCH --gpus-per-node=1
#SBATCH --cpus-per-task=8 --mem=64G
#SBATCH --time=0-10:00
#SBATCH --output=jlab-%j.log

cd "$SLURM_SUBMIT_DIR" || exit
module load python/3.12 2>/dev/null

PORT=$(python3 -c 'import socket; s=socket.socket(); s.bind(("",0)); print(s.getsockname()[1])')
NODE=$(hostname -s)
LOGIN=login2.cluster.example.edu

cat <<END | tee "$HOME/jlab-$SLURM_JOB_ID.txt"
-------------------------------------------------------------------
On your laptop:
    ssh -N -L $PORT:$NODE:$PORT $USER@$LOGIN
then http://localhost:$PORT . In a notebook's terminal first
    module load cuda/11.6
    source /home/alice/old-venv/bin/activate
When done:  scancel $SLURM_JOB_ID
-------------------------------------------------------------------
END

(sleep 30; ssh -N -f -R 127.0.0.1:$PORT:localhost:$PORT $LOGIN) &
tunnel=$!
trap "kill $tunnel 2>/dev/null; rm -f $HOME/jlab-$SLURM_JOB_ID.txt" EXIT INT TERM

export JUPYTER_RUNTIME_DIR=/tmp/$USER-jup-$SLURM_JOB_ID HF_HUB_OFFLINE=1
uv run --frozen --with jupyterlab \
    jupyter lab --no-browser --ip="$NODE" --port="$PORT" \
        --ServerApp.root_dir="$PWD" --ServerApp.token="$(openssl rand -hex 16)"
