#!/bin/sh
# AiiDA 2.9.4: what its Slurm plugin writes into a job's script that nobody asked for.
#
# Guess: a job of which nothing is said about requeueing gets the cluster's default (JobRequeue of slurm.conf); memory is
#        rounded up to Slurm's megabytes.
# Seen:  #SBATCH --no-requeue   unless the option rerunnable is true: a prolog that fails, or moves a job, ends it for good
#        max_memory_kb = 1000   #SBATCH --mem=0, which is all memory of the node for sbatch; 2047 is --mem=1
#        custom_scheduler_commands comes last, before any command, so a line of #SBATCH in it is read
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
cd "$work"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check aiida-core==2.9.4 2>pip.log || { cat pip.log >&2; exit 1; }
export AIIDA_PATH="$work"

# expect WHAT EXPECTED SEEN
expect() {
    [ "$2" = "$3" ] && echo "as found: $1: $3" && return
    echo "changed: $1: expected '$2', saw '$3'" >&2
    exit 1
}

# header PATTERN OPTIONS: the lines of the script's header that hold the pattern, for a job of one core with these options
header() {
    venv/bin/python -W ignore -c 'import json, sys
from aiida.common.datastructures import CodeRunMode
from aiida.schedulers.datastructures import JobTemplate
from aiida.schedulers.plugins.slurm import SlurmScheduler
scheduler = SlurmScheduler()
job = JobTemplate()
job.job_resource = scheduler.create_job_resource(num_machines=1, num_mpiprocs_per_machine=1)
job.codes_info, job.codes_run_mode, job.submit_as_hold = [], CodeRunMode.SERIAL, False
for name, value in json.loads(sys.argv[1]).items():
    setattr(job, name, value)
print(scheduler._get_submit_script_header(job))' "$2" | grep -e "$1" || true
}

expect "nothing asked" "#SBATCH --no-requeue" "$(header requeue '{}')"
expect "rerunnable" "#SBATCH --requeue" "$(header requeue '{"rerunnable": true}')"
expect "1000 KB" "#SBATCH --mem=0" "$(header --mem '{"max_memory_kb": 1000}')"
expect "2047 KB" "#SBATCH --mem=1" "$(header --mem '{"max_memory_kb": 2047}')"
expect "a line of the user's" "#SBATCH --comment=mine" \
    "$(header SBATCH '{"custom_scheduler_commands": "#SBATCH --comment=mine"}' | tail -n 1)"
