#!/bin/sh
# psij-python 0.9.11 writes an attribute with a special character in two pairs of quotes; sbatch of Slurm 22.05.8 takes off one.
#
# Guess: custom_attributes={"slurm.constraint": "a100|h100"} reaches sbatch as a100|h100.
# Seen:  the script   #SBATCH --constraint="'a100|h100'"
#        sbatch       the constraint is 'a100|h100', quotes and all: features that no node has
#        A value without a special character ("a100") arrives as it is.
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
py/bin/python -m pip install -q --disable-pip-version-check psij-python==0.9.11 2>pip.log || { cat pip.log >&2; exit 1; }
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
    io.write(tostring(options["constraint"]), "\n")
    return slurm.ERROR
end
END

# expect WHAT EXPECTED SEEN
expect() {
    [ "$2" = "$3" ] && echo "as found: $1: $3" && return
    echo "changed: $1: expected '$2', saw '$3'" >&2
    exit 1
}

# script CONSTRAINT: the batch script that psij makes
script() {
    py/bin/python - "$1" <<'END'
import io
import sys
from psij import Job, JobAttributes, JobExecutor, JobSpec

spec = JobSpec(executable="/bin/date", attributes=JobAttributes(custom_attributes={"slurm.constraint": sys.argv[1]}))
job, text = Job(spec), io.StringIO()
executor = JobExecutor.get_instance("slurm")
executor.generate_submit_script(job, executor._create_script_context(job), text)
print(text.getvalue())
END
}
# reads FILE: the constraint as sbatch has it
reads() { slurm/usr/bin/sbatch "$1" 2>/dev/null || true; }

export HOME="$work"
script a100 >plain
expect "a100" a100 "$(reads plain)"
script 'a100|h100' >either
expect "the line" "#SBATCH --constraint=\"'a100|h100'\"" "$(grep constraint either)"
expect "a100|h100" "'a100|h100'" "$(reads either)"
