#!/bin/sh
# Slurm 22.05.8 (Debian bookworm, slurm-client): a number at the end of a host name is cut at 2^64 - 1, without a word.
#
# Guess: a host name is text; its digits come out as they went in, however many, or the name is refused.
# Seen:  scontrol show hostnames n18446744073709551616    -> n18446744073709551615    (another name)
#        scontrol show hostnames n99999999999999999999999 -> n00018446744073709551615 (cut, then filled to its length)
# Two nodes whose numbers are both above it are one node to Slurm. Names made of a serial number or an identifier (a cloud's
# instance, say) get there; one that ends in a letter stays whole.
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

expect "one past the limit" "n18446744073709551615" "$(show hostnames n18446744073709551616)"
expect "23 digits" "n00018446744073709551615" "$(show hostnames n99999999999999999999999)"
expect "the limit itself" "n18446744073709551615" "$(show hostnames n18446744073709551615)"
expect "two of them" "n18446744073709551615 n18446744073709551615" \
    "$(show hostnames n18446744073709551616,n18446744073709551617)"
expect "with a letter at the end" "n99999999999999999999999x" "$(show hostnames n99999999999999999999999x)"
