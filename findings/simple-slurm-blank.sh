#!/bin/sh
# simple-slurm 0.3.6 writes a value with a blank without quotes; sbatch of Slurm 22.05.8 (Debian bookworm) refuses that script.
#
# Guess: a value given to Slurm(...) reaches sbatch as it is, quoted where sbatch's lines need it.
# Seen:  Slurm(comment="two words")    -> #SBATCH --comment             two words
#        sbatch                         -> Invalid directive found in batch script: words
#        Slurm(comment="'two words'")  -> sbatch reads "two words": the caller has to quote
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
python3 -m pip install -q --no-deps --root-user-action=ignore --disable-pip-version-check --target py \
    simple-slurm==0.3.6 2>pip.log || { cat pip.log >&2; exit 1; }
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
    for _, name in ipairs({ "comment" }) do
        if options[name] ~= nil then io.write(name, "=", options[name], ";") end
    end
    io.write("\n")
    return slurm.ERROR
end
END

write() { PYTHONPATH="$work/py" python3 -c "import simple_slurm; print(simple_slurm.Slurm($1)); print('hostname')"; }

# expect WHAT EXPECTED SEEN
expect() {
    [ "$2" = "$3" ] && echo "as found: $1: $3" && return
    echo "changed: $1: expected '$2', saw '$3'" >&2
    exit 1
}

write 'comment="two words"' >job
expect "the line" "#SBATCH --comment two words" "$(grep comment job | xargs)"
expect "sbatch" "Invalid directive found in batch script: words" \
    "$(slurm/usr/bin/sbatch job 2>&1 | sed -n 's/^sbatch: error: //p')"
write "comment=\"'two words'\"" >job
expect "quoted by the caller" "comment=two words;" "$(slurm/usr/bin/sbatch job 2>/dev/null || true)"
