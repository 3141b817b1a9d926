#!/bin/sh
# Toil 9.6.0: a time limit of less than a day, written with its days (`0-12`), is sixty times shorter than for Slurm 22.05.8.
#
# Guess: what stands in TOIL_SLURM_ARGS ("--time=0-12") means to Toil what it means to sbatch.
# Seen:  0-12 (12 hours)        Slurm 43200 s   Toil   720 s, and it submits with --time=0:720
#        0-12:00, 00-06:00      the same by sixty
#        0-12:30:00, 1-12, 12:00:00, 60   the same in both
# Days that are zero are taken for days that were not written, so hours are read as minutes. Write 12:00:00.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
cd "$work"
mkdir deb
(
    cd deb
    apt-get download -qq libslurm38=22.05.8-4+deb12u3 2>apt.log || { cat apt.log >&2; exit 1; }
)
dpkg-deb -x deb/*.deb slurm
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check toil==9.6.0 2>pip.log || { cat pip.log >&2; exit 1; }

# expect WHAT EXPECTED SEEN
expect() {
    [ "$2" = "$3" ] && echo "as found: $1: $3" && return
    echo "changed: $1: expected '$2', saw '$3'" >&2
    exit 1
}

# seconds TIME: what libslurm's reader of time limits and Toil's make of it
seconds() {
    venv/bin/python -c 'import ctypes, glob, sys
from toil.batchSystems.slurm import parse_slurm_time
slurm = ctypes.CDLL(glob.glob("slurm/usr/lib/*/libslurm.so.38")[0])
print("Slurm", slurm.slurm_time_str2secs(sys.argv[1].encode()), "Toil", parse_slurm_time(sys.argv[1]))' "$1"
}

expect "0-12" "Slurm 43200 Toil 720" "$(seconds 0-12)"
expect "0-12:00" "Slurm 43200 Toil 720" "$(seconds 0-12:00)"
expect "00-06:00" "Slurm 21600 Toil 360" "$(seconds 00-06:00)"
expect "0-12:30:00" "Slurm 45000 Toil 45000" "$(seconds 0-12:30:00)"
expect "1-12" "Slurm 129600 Toil 129600" "$(seconds 1-12)"
expect "12:00:00" "Slurm 43200 Toil 43200" "$(seconds 12:00:00)"
expect "60" "Slurm 3600 Toil 3600" "$(seconds 60)"
