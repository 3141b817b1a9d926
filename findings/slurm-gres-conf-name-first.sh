#!/bin/sh
# Slurm 22.05.8 (Debian bookworm, slurmd): in gres.conf NodeName must stand before Name, and `include` at the very left.
#
# Guess: the words KEY=VALUE of a line may stand in any order, as File, Count and Type may; blanks before a line mean nothing.
# Seen:  NodeName=n1 Name=gpu File=…  -> read
#        Name=gpu NodeName=n1 File=…  -> fatal: Parsing error at unrecognized key: NodeName
#        "  Name=gpu File=…"          -> read
#        "include more.conf"          -> read
#        "  include more.conf"        -> fatal: Parse error in file …
# slurmd -G ends with status 1 at both.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
cd "$work"
mkdir slurm.deb
(
    cd slurm.deb
    apt-get download -qq slurmd=22.05.8-4+deb12u3 \
        slurm-wlm-basic-plugins=22.05.8-4+deb12u3 \
        libhwloc15=2.9.0-1 \
        libnuma1=2.0.16-1 \
        liblz4-1=1.9.4-1 2>apt.log || { cat apt.log >&2; exit 1; }
)
for deb in slurm.deb/*.deb; do dpkg-deb -x "$deb" slurm; done
lib=$(echo "$work"/slurm/usr/lib/*-linux-gnu)
export LD_LIBRARY_PATH="$lib/slurm-wlm:$lib"
cat >slurm.conf <<END
ClusterName=test
SlurmctldHost=localhost
AuthType=auth/none
CredType=cred/none
PluginDir=$lib/slurm-wlm
GresTypes=gpu
SlurmdSpoolDir=$work
SlurmdLogFile=$work/log
SlurmdPidFile=$work/pid
NodeName=n1 NodeHostname=$(uname -n | cut -d . -f 1) Gres=gpu:2
PartitionName=p Nodes=n1
END
touch gpu0 gpu1
echo "Name=gpu File=$work/gpu[0-1]" >more.conf

# answer LINE: "read", or what slurmd -G (prints a node's GRES and exits) says against the file
answer() {
    echo "$1" >gres.conf
    timeout 20 slurm/usr/sbin/slurmd-wlm -f "$work/slurm.conf" -N n1 -G >out 2>&1 && echo read && return
    sed -n 's/.*error: \(Pars[^:]*\).*/\1/p' out | sed -e "s# in file.*##" -e 1q
}

# expect WHAT EXPECTED SEEN
expect() {
    [ "$2" = "$3" ] && echo "as found: $1: $3" && return
    echo "changed: $1: expected '$2', saw '$3'" >&2
    exit 1
}

expect "NodeName first" "read" "$(answer "NodeName=n1 Name=gpu File=$work/gpu[0-1]")"
expect "Name first" "Parsing error at unrecognized key" "$(answer "Name=gpu NodeName=n1 File=$work/gpu[0-1]")"
expect "File before Type" "read" "$(answer "Name=gpu File=$work/gpu[0-1] Type=a100")"
expect "an indented line" "read" "$(answer "  Name=gpu File=$work/gpu[0-1]")"
expect "include" "read" "$(answer "include $work/more.conf")"
expect "an indented include" "Parse error" "$(answer "  include $work/more.conf")"
