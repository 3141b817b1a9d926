#!/bin/sh
# cuda-pathfinder 1.9.1 (cuda-python, Numba-CUDA and CuPy find CUDA's libraries by it): a wheel's library comes before a module's.
#
# Guess: LD_LIBRARY_PATH, which `module load cuda/…` sets, decides which CUDA library a Python program loads; then CUDA_HOME;
#        then wheels of the environment.
# Seen:  with the wheel nvidia-nvfatbin 13.0.85 in the environment, and 13.1.80 in LD_LIBRARY_PATH and in CUDA_HOME:
#          13.0, found in site-packages, whatever the variables say
#        without that wheel: LD_LIBRARY_PATH 13.1 (system-search), CUDA_HOME 13.1 (CUDA_PATH)
# A job that loads a module of another CUDA runs with the wheel's nevertheless; the module decides only where no wheel is.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
cd "$work"
unset LD_LIBRARY_PATH CUDA_HOME CUDA_PATH
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check cuda-pathfinder==1.9.1 nvidia-nvfatbin==13.0.85 2>pip.log &&
    python3 -m pip install -q --no-deps --root-user-action=ignore --disable-pip-version-check --target module \
        nvidia-nvfatbin==13.1.80 2>pip.log || { cat pip.log >&2; exit 1; }
library="$work/module/nvidia/cu13/lib"
mkdir -p toolkit/lib64
cp "$library"/libnvfatbin.so.13 toolkit/lib64/

# expect WHAT EXPECTED SEEN
expect() {
    [ "$2" = "$3" ] && echo "as found: $1: $3" && return
    echo "changed: $1: expected '$2', saw '$3'" >&2
    exit 1
}

# found [NAME=VALUE]: CUDA's version of the library that is loaded with this variable set, and where it was found
found() {
    env "$@" venv/bin/python -W ignore -c 'import ctypes
from cuda import pathfinder
its = pathfinder.load_nvidia_dynamic_lib("nvfatbin")
major, minor = ctypes.c_uint(), ctypes.c_uint()
ctypes.CDLL(its.abs_path).nvFatbinVersion(ctypes.byref(major), ctypes.byref(minor))
print(f"{major.value}.{minor.value}", its.found_via)'
}

expect "wheel, LD_LIBRARY_PATH" "13.0 site-packages" "$(found "LD_LIBRARY_PATH=$library")"
expect "wheel, CUDA_HOME" "13.0 site-packages" "$(found "CUDA_HOME=$work/toolkit")"
venv/bin/pip uninstall -qy --disable-pip-version-check nvidia-nvfatbin
expect "no wheel, LD_LIBRARY_PATH" "13.1 system-search" "$(found "LD_LIBRARY_PATH=$library")"
expect "no wheel, CUDA_HOME" "13.1 CUDA_PATH" "$(found "CUDA_HOME=$work/toolkit")"
