#!/bin/sh
# snakemake-executor-plugin-slurm 2.8.0 takes the end of a name in slurm_extra for an option that it does not allow there.
#
# Guess: it looks at the options only: --reservation=NAME and --exclude=NAME pass whatever the name.
# Seen:  --reservation=gpu-Jan27            refused: "The --job-name option is not allowed" (-J stands in the name)
#        --reservation=train-c --exclusive  refused as CPUs per task (-c and a blank)
#        --exclude=node-n --hold            refused as the number of tasks (-n and a blank)
#        --reservation=gpu_Jan27, --require='cuda>=12.4', --gpus-per-node=2 pass
# It sets --comment itself, so a comment of the user's for the site's plugins is refused too.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
cd "$work"
python3 -m venv py
py/bin/python -m pip install -q --disable-pip-version-check snakemake-executor-plugin-slurm==2.8.0 2>pip.log || { cat pip.log >&2; exit 1; }

# expect WHAT EXPECTED SEEN
expect() {
    [ "$2" = "$3" ] && echo "as found: $1: $3" && return
    echo "changed: $1: expected '$2', saw '$3'" >&2
    exit 1
}

# judge EXTRA: passes, or the option that it was taken for
judge() {
    py/bin/python - "$1" <<'END'
import sys
from types import SimpleNamespace
from snakemake_executor_plugin_slurm.validation import validate_slurm_extra

try:
    validate_slurm_extra(SimpleNamespace(resources=SimpleNamespace(slurm_extra=sys.argv[1])))
except Exception as error:
    print(str(error).split()[1])
else:
    print("passes")
END
}

expect "--reservation=gpu_Jan27" passes "$(judge --reservation=gpu_Jan27)"
expect "--reservation=gpu-Jan27" --job-name "$(judge --reservation=gpu-Jan27)"
expect "--reservation=train-c --exclusive" --CPUs-per-task "$(judge '--reservation=train-c --exclusive')"
expect "--exclude=node-n --hold" --number-of-tasks "$(judge '--exclude=node-n --hold')"
expect "--require" passes "$(judge "--require='cuda>=12.4'")"
expect "--gpus-per-node=2" passes "$(judge --gpus-per-node=2)"
expect "--comment=x" --job-comment "$(judge --comment=x)"
