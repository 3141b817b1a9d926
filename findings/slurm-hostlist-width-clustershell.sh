#!/bin/sh
# Slurm 22.05.8 (Debian bookworm, slurm-client) folds n01 … n101 into a text that ClusterShell 1.9.3 refuses.
#
# Guess: what `scontrol show hostlist` prints (SLURM_JOB_NODELIST has the same form) can be read by every tool of the field.
# Seen:  scontrol show hostlist n01,n02,…,n99,n100,n101  -> n[01-101]
#        Slurm and python-hostlist 2.3.0 read it as those 101 names.
#        ClusterShell raises NodeSetParseRangeError: padding length mismatch; it writes the same nodes as n[01-99,100-101].
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
        liblz4-1=1.9.4-1 2>apt.log || { cat apt.log >&2; exit 1; }
)
for deb in slurm.deb/*.deb; do dpkg-deb -x "$deb" slurm; done
python3 -m pip install -q --no-deps --root-user-action=ignore --disable-pip-version-check --target py \
    ClusterShell==1.9.3 python-hostlist==2.3.0 2>pip.log || { cat pip.log >&2; exit 1; }
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
NodeName=n1
PartitionName=p Nodes=n1 Default=YES
END
show() { slurm/usr/bin/scontrol show "$@" | xargs; }

# expect WHAT EXPECTED SEEN
expect() {
    [ "$2" = "$3" ] && echo "as found: $1: $3" && return
    echo "changed: $1: expected '$2', saw '$3'" >&2
    exit 1
}

names=$(printf 'n%02d\n' $(seq 101) | paste -sd , -)
folded=$(show hostlist "$names")
expect "Slurm folds" "n[01-101]" "$folded"
expect "Slurm reads it back" "$names" "$(show hostnames "$folded" | tr ' ' ,)"

export PYTHONPATH="$work/py" names folded
expect "python-hostlist reads it" "$names" "$(python3 -c "
import hostlist, os
print(*hostlist.expand_hostlist(os.environ['folded']), sep=',')")"
expect "ClusterShell" "NodeSetParseRangeError padding length mismatch" "$(python3 -c "
import os
from ClusterShell.NodeSet import NodeSet, NodeSetParseRangeError
try:
    print(NodeSet(os.environ['folded']))
except NodeSetParseRangeError as error:
    print(type(error).__name__, 'padding length mismatch' if 'padding length mismatch' in str(error) else error)")"
expect "ClusterShell folds" "n[01-99,100-101]" "$(python3 -c "
import os
from ClusterShell.NodeSet import NodeSet
print(NodeSet(os.environ['names']))")"
