#!/bin/sh
# Slurm 22.05.8 (Debian bookworm, slurm-client): an #SBATCH line is cut at a `#` inside a word, and loses backslashes.
#
# Guess: as in a shell, `#` starts a comment only at the beginning of a word, and an option in the script means what the same
#        words mean on the command line.
# Seen:  sbatch --comment=ticket#12              -> comment is "ticket#12"
#        #SBATCH --comment=ticket#12 --mem=1G    -> comment is "ticket", and --mem is gone with the rest of the line
#        #SBATCH --comment="ticket#12" --mem=1G  -> both whole
#        #SBATCH --comment='a\b'                -> "ab": a backslash is eaten in single quotes too
# No word of warning in any of these.
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
    for _, name in ipairs({ "comment", "mem" }) do
        if options[name] ~= nil then io.write(name, "=", options[name], ";") end
    end
    io.write("\n")
    return slurm.ERROR
end
END

# script LINE ...: a batch script with these lines
script() {
    printf '%s\n' '#!/bin/sh' "$@" hostname >job
    slurm/usr/bin/sbatch job 2>/dev/null || true
}

# expect WHAT EXPECTED SEEN
expect() {
    [ "$2" = "$3" ] && echo "as found: $1: $3" && return
    echo "changed: $1: expected '$2', saw '$3'" >&2
    exit 1
}

expect "command line" "comment=ticket#12;" "$(slurm/usr/bin/sbatch --comment='ticket#12' --wrap hostname 2>/dev/null || true)"
expect "line" "comment=ticket;" "$(script '#SBATCH --comment=ticket#12 --mem=1G')"
expect "line with quotes" "comment=ticket#12;mem=1G;" "$(script '#SBATCH --comment="ticket#12" --mem=1G')"
expect "backslash in single quotes" "comment=ab;" "$(script "#SBATCH --comment='a\\b'")"
