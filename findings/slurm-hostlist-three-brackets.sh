#!/bin/sh
# Slurm 22.05.8 (Debian bookworm, slurm-client): in a host list with three brackets the middle one changes slowest.
#
# Guess: the last bracket changes fastest and the first slowest, however many there are, as in nested loops.
# Seen:  two brackets    a[1-2]b[1-2]        -> a1b1 a1b2 a2b1 a2b2   (as guessed)
#        three brackets  a[1-2]b[1-2]c[1-2]  -> a1b1c1 a1b1c2 a2b1c1 a2b1c2 a1b2c1 a1b2c2 …
#        four brackets   the third changes slowest, then the second, then the first; the last fastest
# The brackets but the last count the other way round. Who pairs the n-th host with the n-th of something else (ranks, addresses)
# must take the order from Slurm: python-hostlist 2.3.0 answers three brackets in the order of the guess.
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
    python-hostlist==2.3.0 2>pip.log || { cat pip.log >&2; exit 1; }
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

expect "two" "a1b1 a1b2 a2b1 a2b2" "$(show hostnames 'a[1-2]b[1-2]')"
expect "three" "a1b1c1 a1b1c2 a2b1c1 a2b1c2 a1b2c1 a1b2c2 a2b2c1 a2b2c2" "$(show hostnames 'a[1-2]b[1-2]c[1-2]')"
expect "four, its first half" "a1b1c1d1 a1b1c1d2 a2b1c1d1 a2b1c1d2 a1b2c1d1 a1b2c1d2 a2b2c1d1 a2b2c1d2" \
    "$(show hostnames 'a[1-2]b[1-2]c[1-2]d[1-2]' | cut -d ' ' -f 1-8)"
expect "python-hostlist" "a1b1c1 a1b1c2 a1b2c1 a1b2c2 a2b1c1 a2b1c2 a2b2c1 a2b2c2" "$(PYTHONPATH="$work/py" python3 -c "
import hostlist
print(*hostlist.expand_hostlist('a[1-2]b[1-2]c[1-2]'))")"
