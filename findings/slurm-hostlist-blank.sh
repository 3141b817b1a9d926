#!/bin/sh
# Slurm 22.05.8 (Debian bookworm, slurm-client): a blank inside the brackets of a host list becomes a zero of the name.
#
# Guess: `n[1, 2]` is n1 and n2, or is refused; `n[1-]` is refused.
# Seen:  scontrol show hostnames 'n[1, 2]' -> n1 n02    (the blank counts as a digit of the width)
#        scontrol show hostnames 'n[ 1]'   -> n01
#        scontrol show hostnames 'n[1 ,2]' -> refused: the blank after a number is an error
#        scontrol show hostnames 'n[1-]'   -> n1
# So a list that a person wrote with a blank after the comma names a node that may not exist, or another one. ClusterShell
# 1.9.3 reads the same text as n1 and n2, python-hostlist 2.3.0 refuses it.
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

expect "n[1, 2]" "n1 n02" "$(show hostnames 'n[1, 2]')"
expect "n[ 1]" "n01" "$(show hostnames 'n[ 1]')"
expect "n[1 ,2]" "" "$(show hostnames 'n[1 ,2]' 2>/dev/null)"
expect "n[1-]" "n1" "$(show hostnames 'n[1-]')"

export PYTHONPATH="$work/py"
expect "ClusterShell" "n1 n2" "$(python3 -c "
from ClusterShell.NodeSet import NodeSet
print(*NodeSet('n[1, 2]'))")"
expect "python-hostlist" "bad range" "$(python3 -c "
import hostlist
try:
    print(hostlist.expand_hostlist('n[1, 2]'))
except hostlist.BadHostlist as error:
    print(error)")"
