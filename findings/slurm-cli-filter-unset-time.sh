#!/bin/sh
# Slurm 22.05.8 (Debian bookworm, slurm-client): in cli_filter.lua a time limit that nobody set is a limit of 8,166 years.
#
# Guess: options["time"] is nil where --time is not given, as options["comment"] and options["mem"] are.
# Seen:  sbatch --wrap …            -> options["time"] is "2982616-04:14:00" (4294967294 minutes, the number for "not set")
#        sbatch --time=0 --wrap …   -> "UNLIMITED"
#        sbatch --time=1:70 --wrap … -> "00:03:00": 1 minute and 70 seconds, rounded up
# A filter that refuses jobs without a limit by `options["time"] == nil` lets all of them pass.
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
        liblz4-1=1.9.4-1 \
        liblua5.1-0=5.1.5-9 2>apt.log || { cat apt.log >&2; exit 1; }
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
cat >>slurm.conf <<END
CliFilterPlugins=lua
END
# What sbatch made of the options, before it asks a controller; nothing is submitted.
cat >cli_filter.lua <<'END'
function slurm_cli_setup_defaults(options, early) return slurm.SUCCESS end
function slurm_cli_post_submit(offset, job, step) return slurm.SUCCESS end
function slurm_cli_pre_submit(options, offset)
    for _, name in ipairs({ "comment", "mem", "time" }) do
        if options[name] ~= nil then io.write(name, "=", options[name], ";") end
    end
    io.write("\n")
    return slurm.ERROR
end
END

submit() { slurm/usr/bin/sbatch "$@" --wrap hostname 2>/dev/null || true; }

# expect WHAT EXPECTED SEEN
expect() {
    [ "$2" = "$3" ] && echo "as found: $1: $3" && return
    echo "changed: $1: expected '$2', saw '$3'" >&2
    exit 1
}

expect "nothing given" "time=2982616-04:14:00;" "$(submit)"
expect "--time=0" "time=UNLIMITED;" "$(submit --time=0)"
expect "--time=1:70" "time=00:03:00;" "$(submit --time=1:70)"
expect "all given" "comment=x;mem=1G;time=00:05:00;" "$(submit --time=5 --mem=1G --comment=x)"
