#!/bin/sh
# CUDA 13.5: cuobjdump --list-elf names a family-specific cubin (sm_100f) as a plain one (sm_100).
#
# Guess: it names each image as nvcc does: sm_100, sm_100a, sm_100f.
# Seen:  --list-elf  sm_100, sm_100a and, for sm_100f, sm_100; of a fatbin and of the cubin alone
#        --list-ptx  sm_100, sm_100a, sm_100f
# So a list of targets made by it cannot tell code of a family from code for every later minor. The fatbin's own flags can.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
cd "$work"
python3 -m pip install -q --no-deps --root-user-action=ignore --disable-pip-version-check --target py \
    nvidia-cuda-nvcc==13.5.37 nvidia-cuda-cuobjdump==13.5.37 2>pip.log || { cat pip.log >&2; exit 1; }
bin="$work/py/nvidia/cu13/bin"
chmod +x "$bin/ptxas" "$bin/fatbinary" "$bin/cuobjdump"
"$bin/cuobjdump" --version | sed -n 's/.*release/cuobjdump: release/p'

# expect WHAT EXPECTED SEEN
expect() {
    [ "$2" = "$3" ] && echo "as found: $1: $3" && return
    echo "changed: $1: expected '$2', saw '$3'" >&2
    exit 1
}

# listed OPTION FILE: the target in the name that cuobjdump gives the image
listed() {
    "$bin/cuobjdump" "$1" "$2" | sed -n 's/.*\.\(sm_[0-9]*[af]*\)\.\(cubin\|ptx\)$/\1/p'
}

for target in 100 100a 100f; do
    printf '.version 8.8\n.target sm_%s\n.address_size 64\n.visible .entry k() { ret; }\n' "$target" >"$target.ptx"
    "$bin/ptxas" -arch "sm_$target" "$target.ptx" -o "$target.cubin"
    "$bin/fatbinary" -64 --create "$target.fatbin" "--image3=kind=elf,sm=$target,file=$target.cubin" \
        "--image3=kind=ptx,sm=$target,file=$target.ptx"
done
expect "cubin for sm_100" "sm_100" "$(listed --list-elf 100.fatbin)"
expect "cubin for sm_100a" "sm_100a" "$(listed --list-elf 100a.fatbin)"
expect "cubin for sm_100f" "sm_100" "$(listed --list-elf 100f.fatbin)"
expect "cubin for sm_100f, alone" "sm_100" "$(listed --list-elf 100f.cubin)"
expect "PTX for sm_100f" "sm_100f" "$(listed --list-ptx 100f.fatbin)"
