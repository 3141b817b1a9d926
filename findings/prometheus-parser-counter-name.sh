#!/bin/sh
# prometheus-client 0.21.0: its parser of the text format changes the names of counters.
#
# Guess: a sample parsed from a metrics page (DCGM exporter's, say) has the name that stands on the page.
# Seen:  # TYPE DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION counter
#        DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{gpu="0"} 7
#            -> sample DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION_total, a name that is nowhere on the page
#        The same line with TYPE gauge, or with no TYPE, keeps its name.
# A program that looks its metrics up by the names of the page finds all but the counters.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
cd "$work"
python3 -m pip install -q --no-deps --root-user-action=ignore --disable-pip-version-check --target py \
    prometheus-client==0.21.0 2>pip.log || { cat pip.log >&2; exit 1; }

export PYTHONPATH="$work/py"
parse() {
    python3 -c "
import sys
from prometheus_client.parser import text_fd_to_metric_families
for family in text_fd_to_metric_families(sys.stdin):
    print(family.type, *(sample.name for sample in family.samples), end=';')"
}
name=DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION

# expect WHAT EXPECTED SEEN
expect() {
    [ "$2" = "$3" ] && echo "as found: $1: $3" && return
    echo "changed: $1: expected '$2', saw '$3'" >&2
    exit 1
}

expect "counter" "counter ${name}_total;" "$(printf '# TYPE %s counter\n%s{gpu="0"} 7\n' $name $name | parse)"
expect "gauge" "gauge $name;" "$(printf '# TYPE %s gauge\n%s{gpu="0"} 7\n' $name $name | parse)"
expect "no type" "unknown $name;" "$(printf '%s{gpu="0"} 7\n' $name | parse)"
