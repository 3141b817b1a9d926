#!/bin/sh
# CUDA 13.5: nvcc -arch=native on a machine without a GPU (a login node) builds for sm_75, with a warning and exit status 0.
#
# Guess: it refuses, for there is no GPU whose architecture it could take.
# Seen:  nvcc warning : Cannot find valid GPU for '-arch=native', default arch is used     status 0
#        machine code and PTX for sm_75 only: an H100 compiles that PTX anew, and has none of its own code
# -arch=sm_70 is refused by name ("Unsupported gpu architecture"), so only "native" changes its meaning with the machine.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
cd "$work"
[ ! -e /dev/nvidiactl ] || { echo "not run: this machine has a GPU" >&2; exit 1; }
python3 -m pip install -q --no-deps --root-user-action=ignore --disable-pip-version-check --target py \
    nvidia-cuda-nvcc==13.5.37 nvidia-cuda-crt==13.5.37 nvidia-nvvm==13.5.37 2>pip.log || { cat pip.log >&2; exit 1; }
bin="$work/py/nvidia/cu13/bin"
chmod +x "$bin"/*
echo '__global__ void kernel() {}' >kernel.cu

# expect WHAT EXPECTED SEEN
expect() {
    [ "$2" = "$3" ] && echo "as found: $1: $3" && return
    echo "changed: $1: expected '$2', saw '$3'" >&2
    exit 1
}

# steps ARCH: what nvcc would run, into `seen`; prints its exit status
steps() {
    status=0
    "$bin/nvcc" "-arch=$1" --dryrun -c kernel.cu -o kernel.o >seen 2>&1 || status=$?
    echo "$status"
}

expect "native: exit status" 0 "$(steps native)"
expect "native: warning" "Cannot find valid GPU for '-arch=native', default arch is used" \
    "$(sed -n 's/^nvcc warning : //p' seen)"
expect "native: machine code for" sm_75 "$(grep -o ' -arch=sm_[0-9a-z]*' seen | sort -u | sed 's/.*=//' | xargs)"
expect "sm_70: exit status" 1 "$(steps sm_70)"
