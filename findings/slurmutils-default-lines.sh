#!/bin/sh
# slurmutils 1.3.2 (the library of Charmed HPC that edits Slurm's files): what a slurm.conf loses when it is read and written.
#
# Guess: a configuration that is read and written again says the same to Slurm; Slurm's keywords and values have no case.
# Seen:  NodeName=DEFAULT CPUs=2, NodeName=n[1-2], NodeName=DEFAULT CPUs=4, NodeName=n3
#          -> one NodeName=DEFAULT with the last CPUs=4, before all nodes: n[1-2] have 4 CPUs now, without a word
#        comments are lost; keywords are written in lower case (Slurm reads them)
#        a line continued with a backslash   -> ModelError: the next line's first keyword is unknown
#        HealthCheckNodeState=ANY,CYCLE, PrologFlags=Alloc, State=DOWN, as slurm.conf(5) writes them
#          -> ModelError: only any,cycle, alloc and down are taken
#        gres.conf: NodeName=n1 Name=gpu …  -> ModelError: NodeName is taken on lines that begin with Name only
# What a tool has written is to be compared with what was there before (`scontrol show node`), not trusted.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
cd "$work"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check slurmutils==1.3.2 2>pip.log || { cat pip.log >&2; exit 1; }

# expect WHAT EXPECTED SEEN
expect() {
    [ "$2" = "$3" ] && echo "as found: $1: $3" && return
    echo "changed: $1: expected '$2', saw '$3'" >&2
    exit 1
}

# again EDITOR TEXT: the text read and written, its lines parted by |; the error's name and its first words where it is refused
again() {
    venv/bin/python -c 'import sys
import slurmutils
editor = getattr(slurmutils, sys.argv[1])()
try:
    print(editor.dumps(editor.loads(sys.argv[2].replace("|", "\n") + "\n")).strip().replace("\n", "|"))
except slurmutils.ModelError as error:
    print("ModelError:", str(error).split(". ")[0].split(" not one of")[0])' "$1" "$2"
}

expect "two DEFAULT lines" "nodename=DEFAULT cpus=4|nodename=n[1-2]|nodename=n3" \
    "$(again SlurmConfigEditor 'NodeName=DEFAULT CPUs=2|NodeName=n[1-2]|NodeName=DEFAULT CPUs=4|NodeName=n3')"
expect "a comment" "prolog=/etc/slurm/prolog" "$(again SlurmConfigEditor '# of the site|Prolog=/etc/slurm/prolog # ours')"
expect "a continued line" 'ModelError: unrecognized configuration field `cpus`' \
    "$(again SlurmConfigEditor 'NodeName=n1 \|  CPUs=2')"
expect "HealthCheckNodeState" "ModelError: 'ANY' is" "$(again SlurmConfigEditor 'HealthCheckNodeState=ANY')"
expect "the same in lower case" "healthchecknodestate=any" "$(again SlurmConfigEditor 'HealthCheckNodeState=any')"
expect "PrologFlags" "ModelError: 'Alloc' is" "$(again SlurmConfigEditor 'PrologFlags=Alloc')"
expect "State of DownNodes" "ModelError: 'DOWN' is" "$(again SlurmConfigEditor 'DownNodes=n1 State=DOWN')"
expect "gres.conf, NodeName first" 'ModelError: unrecognized configuration field `nodename`' \
    "$(again GresConfigEditor 'NodeName=n1 Name=gpu Type=h100 File=/dev/nvidia0')"
expect "gres.conf, Name first" "name=gpu nodename=n1 type=h100 file=/dev/nvidia0" \
    "$(again GresConfigEditor 'Name=gpu NodeName=n1 Type=h100 File=/dev/nvidia0')"
