#!/bin/sh
# dask-jobqueue 0.9.0 with sbatch of Slurm 22.05.8 (Debian bookworm): memory="16GB" asks Slurm for 15G, and memory="1500MB" for 2G.
#
# Guess: "16GB" becomes --mem=16G, as sbatch itself reads 16GB: 16 times 1024 MiB.
# Seen:  memory    --mem    sbatch would have read the memory's own text as
#        16GB      15G      16384 MiB
#        80GB      75G      81920 MiB
#        1500MB    2G       1500 MiB
#        16GiB     16G      (sbatch knows no GiB)
# GB is of powers of ten there and of two in Slurm, and the result is rounded up to the whole unit: the same words ask for less
# memory than in a batch script, or for more. GiB means what Slurm means by G.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
cd "$work"
mkdir slurm.deb
(
    cd slurm.deb
    apt-get download -qq slurm-client=22.05.8-4+deb12u3 \
        slurm-wlm-basic-plugins=22.05.8-4+deb12u3 \
        libreadline8=8.2-1.3 \
        liblz4-1=1.9.4-1 \
        liblua5.1-0=5.1.5-9 2>apt.log || { cat apt.log >&2; exit 1; }
)
for deb in slurm.deb/*.deb; do dpkg-deb -x "$deb" slurm; done
python3 -m venv py
py/bin/python -m pip install -q --disable-pip-version-check dask-jobqueue==0.9.0 2>pip.log || { cat pip.log >&2; exit 1; }
lib=$(echo "$work"/slurm/usr/lib/*-linux-gnu)
base=$(echo "$work"/slurm/lib/*-linux-gnu)
export LD_LIBRARY_PATH="$lib/slurm-wlm:$lib:$base"
export SLURM_CONF="$work/slurm.conf"
cat >slurm.conf <<END
ClusterName=test
SlurmctldHost=localhost
AuthType=auth/none
CredType=cred/none
PluginDir=$lib/slurm-wlm
CliFilterPlugins=lua
NodeName=n1
PartitionName=p Nodes=n1 Default=YES
END
# What sbatch made of the options, before it asks a controller; nothing is submitted.
cat >cli_filter.lua <<'END'
function slurm_cli_setup_defaults(options, early) return slurm.SUCCESS end
function slurm_cli_post_submit(offset, job, step) return slurm.SUCCESS end
function slurm_cli_pre_submit(options, offset)
    io.write(tostring(options["mem"]), "\n")
    return slurm.ERROR
end
END

# expect WHAT EXPECTED SEEN
expect() {
    [ "$2" = "$3" ] && echo "as found: $1: $3" && return
    echo "changed: $1: expected '$2', saw '$3'" >&2
    exit 1
}

# asks MEMORY: what the worker's script asks Slurm for
asks() {
    py/bin/python - "$1" <<'END'
import sys
from dask_jobqueue.slurm import SLURMJob

job = SLURMJob(scheduler="tcp://127.0.0.1:1", name="w", cores=1, memory=sys.argv[1])
print(*(line.partition("--mem=")[2] for line in job.job_script().splitlines() if "--mem=" in line))
END
}
printf '#!/bin/sh\n' >job
# reads MEMORY: what sbatch itself makes of the text
reads() { slurm/usr/bin/sbatch "--mem=$1" job 2>/dev/null || true; }

expect "16GB" 15G "$(asks 16GB)"
expect "80GB" 75G "$(asks 80GB)"
expect "1500MB" 2G "$(asks 1500MB)"
expect "16GiB" 16G "$(asks 16GiB)"
expect "sbatch --mem=16GB is --mem=16G" "$(reads 16G)" "$(reads 16GB)"
expect "sbatch --mem=16GB is not --mem=15G" "differs" "$([ "$(reads 16GB)" = "$(reads 15G)" ] && echo same || echo differs)"
