#!/bin/sh
# Slurm 22.05.8 (Debian bookworm, slurm-client): scontrol show hostnames refuses a text after the last bracket, with status 0.
#
# Guess: `n[1-2]-ib` (the InfiniBand names of two nodes) is n1-ib and n2-ib, as it is for ClusterShell 1.9.3 and python-hostlist
#        2.3.0; what scontrol cannot read ends with a status other than 0.
# Seen:  Invalid hostlist: n[1-2]-ib    on standard error, nothing on standard output, status 0
#        With a bracket at the end the same text is fine: n[1-2]-ib[0-1] is four names.
# `for host in $(scontrol show hostnames "$list")` runs over no host and `set -e` does not see it.
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

status=0
slurm/usr/bin/scontrol show hostnames 'n[1-2]-ib' >out 2>err || status=$?
expect "status" 0 "$status"
expect "standard output" "" "$(cat out)"
expect "standard error" "Invalid hostlist: n[1-2]-ib" "$(cat err)"
expect "with a bracket at the end" "n1-ib0 n1-ib1 n2-ib0 n2-ib1" "$(show hostnames 'n[1-2]-ib[0-1]')"

export PYTHONPATH="$work/py"
expect "ClusterShell" "n1-ib n2-ib" "$(python3 -c "
from ClusterShell.NodeSet import NodeSet
print(*NodeSet('n[1-2]-ib'))")"
expect "python-hostlist" "n1-ib n2-ib" "$(python3 -c "
import hostlist
print(*hostlist.expand_hostlist('n[1-2]-ib'))")"
