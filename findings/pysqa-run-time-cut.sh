#!/bin/sh
# pysqa 1.1.1 cuts a run time to whole minutes: 119 seconds become --time=1, and the job ends up to a minute early.
#
# Guess: run_time_max, in seconds, is rounded up to the minutes of --time, or written as MINUTES:SECONDS, which sbatch knows.
# Seen:  run_time_max    --time
#        60              1
#        119             1
#        179             2
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
cd "$work"
python3 -m venv py
py/bin/python -m pip install -q --disable-pip-version-check pysqa==1.1.1 2>pip.log || { cat pip.log >&2; exit 1; }

# expect WHAT EXPECTED SEEN
expect() {
    [ "$2" = "$3" ] && echo "as found: $1: $3" && return
    echo "changed: $1: expected '$2', saw '$3'" >&2
    exit 1
}

# minutes SECONDS: the script's --time
minutes() {
    py/bin/python - "$1" <<'END'
import sys
from pysqa.wrapper.slurm import SlurmCommands

text = SlurmCommands.render_submission_template(
    command="true", job_name="a", working_directory=".", cores=1, queue="p", run_time_max=int(sys.argv[1])
)
print(*(line.partition("--time=")[2] for line in text.splitlines() if "--time=" in line))
END
}

expect "60 seconds" 1 "$(minutes 60)"
expect "119 seconds" 1 "$(minutes 119)"
expect "179 seconds" 2 "$(minutes 179)"
