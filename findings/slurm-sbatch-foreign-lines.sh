#!/bin/sh
# Slurm 22.05.8 (Debian bookworm, slurm-client): sbatch obeys #PBS and #BSUB lines, and they win over #SBATCH lines.
#
# Guess: lines for other batch systems are comments to sbatch; in a script kept for two systems the #SBATCH line decides.
# Seen:  #SBATCH -J mine                    -> job name "mine"
#        #PBS -N theirs                     -> job name "theirs" (also before the #SBATCH line: the order does not matter)
#        #BSUB -J theirs, after #SBATCH     -> job name "theirs"
#        #BSUB -n 4                         -> 4 tasks
#        sbatch --ignore-pbs                -> leaves out #PBS and #BSUB alike: job name "mine"
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
    for _, name in ipairs({ "job-name", "ntasks" }) do
        if options[name] ~= nil then io.write(name, "=", options[name], ";") end
    end
    io.write("\n")
    return slurm.ERROR
end
END

# script LINE ...: a batch script with these lines
script() {
    printf '%s\n' '#!/bin/sh' "$@" hostname >job
    slurm/usr/bin/sbatch $ignore job 2>/dev/null || true
}
ignore=

# expect WHAT EXPECTED SEEN
expect() {
    [ "$2" = "$3" ] && echo "as found: $1: $3" && return
    echo "changed: $1: expected '$2', saw '$3'" >&2
    exit 1
}

expect "#SBATCH alone" "job-name=mine;ntasks=1;" "$(script '#SBATCH -J mine')"
expect "#PBS after it" "job-name=theirs;ntasks=1;" "$(script '#SBATCH -J mine' '#PBS -N theirs')"
expect "#PBS before it" "job-name=theirs;ntasks=1;" "$(script '#PBS -N theirs' '#SBATCH -J mine')"
expect "#BSUB after it" "job-name=theirs;ntasks=1;" "$(script '#SBATCH -J mine' '#BSUB -J theirs')"
expect "#BSUB -n" "job-name=mine;ntasks=4;" "$(script '#SBATCH -J mine' '#BSUB -n 4')"
ignore=--ignore-pbs
expect "#PBS ignored" "job-name=mine;ntasks=1;" "$(script '#SBATCH -J mine' '#PBS -N theirs')"
expect "#BSUB ignored" "job-name=mine;ntasks=1;" "$(script '#SBATCH -J mine' '#BSUB -J theirs')"
