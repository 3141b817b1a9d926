#!/bin/sh
# Slurm 22.05.8 (Debian bookworm, slurmctld): scontrol cancel_reboot, and a reboot ASAP, undrain a node that an admin had drained before.
#
# Guess: cancel_reboot takes back what the request did and no more; after `reboot ASAP` without nextstate= a node that was drained is drained.
# Seen:  drained ("fan 3"), scontrol reboot n1, scontrol cancel_reboot n1   -> not drained any more, no reason
#        drained ("fan 3"), scontrol reboot n1, the boot                    -> drained, "fan 3 : reboot issued"
#        drained ("fan 3"), scontrol reboot ASAP n1, the boot               -> idle, no reason
# 24.11.5 and 26.05.5 undrain at cancel_reboot too; after reboot ASAP they keep the drain.
# Runs a controller and slurmd of its own on free ports, as root. RebootProgram only writes a file; slurmd -b is the boot.
set -eu
work=$(mktemp -d)
pids=
stop() {
    for pid in $pids; do kill "$pid" 2>/dev/null || true; done
    for pid in $pids; do wait "$pid" 2>/dev/null || true; done
    rm -rf "$work"
}
trap stop EXIT
trap 'exit 1' HUP INT TERM
cd "$work"
mkdir slurm.deb state spool
(
    cd slurm.deb
    apt-get download -qq slurm-client=22.05.8-4+deb12u3 slurmctld=22.05.8-4+deb12u3 slurmd=22.05.8-4+deb12u3 \
        slurm-wlm-basic-plugins=22.05.8-4+deb12u3 libhwloc15=2.9.0-1 libnuma1=2.0.16-1 liblz4-1=1.9.4-1 liblua5.1-0=5.1.5-9 >apt.log 2>&1 || { cat apt.log >&2; exit 1; }
)
for deb in slurm.deb/*.deb; do dpkg-deb -x "$deb" slurm; done
lib=$(echo "$work"/slurm/usr/lib/*-linux-gnu)
export LD_LIBRARY_PATH="$lib/slurm-wlm:$lib" SLURM_CONF="$work/slurm.conf"
export PATH="$work/slurm/usr/bin:$work/slurm/usr/sbin:$PATH"
me=$(id -un)
host=$(hostname -s)

# port: a TCP port that is free now
port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# until_it COMMAND...: repeat a command until it succeeds
until_it() {
    tries=0
    until "$@" >/dev/null 2>&1; do
        tries=$((tries + 1))
        [ $tries -lt 600 ] || { echo "gave up waiting for: $*" >&2; tail -n 5 ./*.log >&2; exit 1; }
        sleep 0.2
    done
}

cat >slurm.conf <<END
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$(port)
AuthType=auth/none
CredType=cred/none
PluginDir=$lib/slurm-wlm
SlurmUser=$me
SlurmdUser=$me
StateSaveLocation=$work/state
SlurmdSpoolDir=$work/spool
SlurmctldPidFile=$work/ctld.pid
SlurmdPidFile=$work/d.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SlurmdParameters=config_overrides
RebootProgram=$work/reboot
ResumeTimeout=600
ReturnToService=2
NodeName=n1 NodeHostname=$host NodeAddr=127.0.0.1 Port=$(port) CPUs=1 RealMemory=100 State=UNKNOWN
PartitionName=p Nodes=n1 Default=YES
END
echo CgroupAutomount=no >cgroup.conf
printf '#!/bin/sh\necho asked >>%s/rebooted\n' "$work" >reboot
chmod +x reboot
slurmctld -D >ctld.log 2>&1 &
pids="$pids $!"
slurmd -D -N n1 >d.log 2>&1 &
slurmd=$!
pids="$pids $slurmd"
idle() { sinfo -h -o %T | grep -qx idle; }
until_it idle

# seen: the node's state and the reason that stands on it
seen() { sinfo -h -n n1 -O StateComplete:40,Reason:40 | sed 's/  */ /g; s/ $//'; }

# again: the node back in service, without a job
again() {
    scontrol update nodename=n1 state=resume 2>/dev/null || true
    until_it idle
    rm -f rebooted
}

# boot: wait for RebootProgram, then start slurmd as after a boot
boot() {
    until_it test -e rebooted
    kill "$slurmd"
    wait "$slurmd" || true
    slurmd -D -N n1 -b >>d.log 2>&1 &
    slurmd=$!
    pids="$pids $slurmd"
    until_it sh -c '! sinfo -h -n n1 -O StateComplete:40 | grep -q reboot'
}

# expect WHAT EXPECTED SEEN
expect() {
    [ "$2" = "$3" ] && echo "as found: $1: $3" && return
    echo "changed: $1: expected '$2', saw '$3'" >&2
    exit 1
}

scontrol -V
job=$(sbatch --parsable -o /dev/null --wrap="sleep 600")
until_it sh -c "squeue -h -j $job -o %T | grep -qx RUNNING"
scontrol update nodename=n1 state=drain reason="fan 3"
scontrol reboot n1
expect "drained, reboot asked for, a job running" "allocated+drain+reboot_requested fan 3" "$(seen)"
scontrol cancel_reboot n1
expect "and cancelled" "allocated none" "$(seen)"
scancel "$job"
until_it idle
scontrol update nodename=n1 state=drain reason="fan 3"
scontrol reboot n1
boot
expect "drained, rebooted" "idle+drain fan 3 : reboot issued" "$(seen)"
again
scontrol update nodename=n1 state=drain reason="fan 3"
scontrol reboot ASAP n1
boot
expect "drained, rebooted ASAP" "idle none" "$(seen)"
