#!/bin/sh
# Slurm 22.05.8 (Debian bookworm, slurmdbd with MariaDB): sacct shows an exit code above 127 as 128 less.
#
# Guess: sacct's ExitCode is what the controller's ExitCode is.
# Seen:  exit 255   scontrol show job: ExitCode=255:0    sacct: 127:0   (as of a command that was not found)
#        exit 137   scontrol show job: ExitCode=137:0    sacct: 9:0     (a process killed by SIGKILL is 0:9)
# 24.11.5 does the same, 26.05.5 does not.
# Runs a controller, slurmd, slurmdbd and MariaDB of its own on free ports, as root (slurmd and mariadbd drop nothing).
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
mkdir slurm.deb state spool db tmp
(
    cd slurm.deb
    apt-get download -qq slurm-client=22.05.8-4+deb12u3 slurmctld=22.05.8-4+deb12u3 slurmd=22.05.8-4+deb12u3 \
        slurmdbd=22.05.8-4+deb12u3 slurm-wlm-basic-plugins=22.05.8-4+deb12u3 slurm-wlm-mysql-plugin=22.05.8-4+deb12u3 \
        mariadb-server-core=1:10.11.19-0+deb12u1 libmariadb3=1:10.11.19-0+deb12u1 libaio1=0.3.113-4 liburing2=2.3-3 \
        libreadline8=8.2-1.3 liblz4-1=1.9.4-1 liblua5.1-0=5.1.5-9 >apt.log 2>&1 || { cat apt.log >&2; exit 1; }
)
for deb in slurm.deb/*.deb; do dpkg-deb -x "$deb" slurm; done
lib=$(echo "$work"/slurm/usr/lib/*-linux-gnu)
base=$(echo "$work"/slurm/lib/*-linux-gnu)
export LD_LIBRARY_PATH="$lib/slurm-wlm:$lib:$base" SLURM_CONF="$work/slurm.conf" MYSQL_UNIX_PORT="$work/db.socket"
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

dbd=$(port)
cat >slurmdbd.conf <<END
AuthType=auth/none
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort=$dbd
SlurmUser=$me
PidFile=$work/slurmdbd.pid
PluginDir=$lib/slurm-wlm
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=$me
END
chmod 600 slurmdbd.conf
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
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=localhost
AccountingStoragePort=$dbd
NodeName=n1 NodeHostname=$host NodeAddr=127.0.0.1 Port=$(port) CPUs=1 RealMemory=100 State=UNKNOWN
PartitionName=p Nodes=n1 Default=YES
END
echo CgroupAutomount=no >cgroup.conf
options="--no-defaults --skip-networking --skip-grant-tables --user=$me --datadir=$work/db --tmpdir=$work/tmp"
options="$options --lc-messages-dir=$work/slurm/usr/share/mysql --character-sets-dir=$work/slurm/usr/share/mysql/charsets"
options="$options --plugin-dir=$lib/mysql/plugin --innodb-log-file-size=16M"
# shellcheck disable=SC2086 # a list of options
{
    printf '%s;\n' 'create database mysql' 'use mysql'
    cat slurm/usr/share/mysql/mysql_system_tables.sql
} | mariadbd $options --bootstrap >db.log 2>&1 || { tail -n 5 db.log >&2; exit 1; }
# shellcheck disable=SC2086
mariadbd $options --socket="$work/db.socket" >>db.log 2>&1 &
pids="$pids $!"
until_it test -S db.socket
slurmdbd -D >dbd.log 2>&1 &
pids="$pids $!"
until_it sacctmgr -n show cluster
sacctmgr -i -Q add cluster test >/dev/null
slurmctld -D >ctld.log 2>&1 &
pids="$pids $!"
slurmd -D -N n1 >d.log 2>&1 &
pids="$pids $!"
until_it sh -c 'sinfo -h -o %T | grep -qx idle'

# run CODE: run a job that exits so, and print what the controller and what sacct say of it
run() {
    job=$(sbatch --parsable -o /dev/null --wrap="exit $1")
    until_it sh -c "sacct -n -X -j $job -o State | grep -q FAILED"
    told=$(scontrol show job "$job" | sed -n 's/.* ExitCode=\([0-9:]*\).*/\1/p')
    echo "$told $(sacct -n -P -X -j "$job" -o ExitCode)"
}

# expect WHAT EXPECTED SEEN
expect() {
    [ "$2" = "$3" ] && echo "as found: $1: $3" && return
    echo "changed: $1: expected '$2', saw '$3'" >&2
    exit 1
}

sacct -V
expect "exit 7, scontrol and sacct" "7:0 7:0" "$(run 7)"
expect "exit 255, scontrol and sacct" "255:0 127:0" "$(run 255)"
expect "exit 137, scontrol and sacct" "137:0 9:0" "$(run 137)"
