#!/bin/sh
# Slurm 22.05.8 (Debian bookworm, slurm-client): scontrol show hostlistsorted loses names whose numbers are far apart.
#
# Guess: sorting a host list keeps every name.
# Seen:  scontrol show hostlistsorted n1,n2000000000 -> n[1,2000000000]
#        scontrol show hostlistsorted n1,n3000000000 -> n[3000000000]      n1 is gone; nothing on standard error, status 0
#        scontrol show hostlistsorted n1,n5000000000 -> n[1,5000000000]
#        scontrol show hostlist       n1,n3000000000 -> n[1,3000000000]    without sorting nothing is lost
# It looks like a difference of two numbers kept in 32 bits with a sign: names are lost where that is negative, between 2^31 and
# 2^32, and again every 2^32.
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

expect "near" "n[1,2000000000]" "$(show hostlistsorted n1,n2000000000)"
expect "far" "n[3000000000]" "$(show hostlistsorted n1,n3000000000 2>&1)"
expect "farther" "n[1,5000000000]" "$(show hostlistsorted n1,n5000000000)"
expect "once round" "n[7000000000]" "$(show hostlistsorted n1,n7000000000)"
expect "not sorted" "n[1,3000000000]" "$(show hostlist n1,n3000000000)"
