#!/bin/sh
# Wheels of GPU libraries whose tag promises an older glibc than their own libraries ask for (read with pyelftools 0.32).
#
# Guess: a library in a wheel asks for no newer glibc than its manylinux tag names, so pip installs only what loads.
# Seen:  nvidia-cusparselt-cu12 0.8.1 (PyTorch depends on it)  manylinux2014, glibc 2.17  libcusparseLt.so.0 asks GLIBC_2.27
#        deepspeed-kernels 0.0.1.dev1698255861                 manylinux1, glibc 2.5      libblockedflash.so asks GLIBC_2.17
#        nvidia-nvtx-cu12 12.9.79                              manylinux1, glibc 2.5      asks GLIBC_2.2.5, as its tag says
# pip on a node with glibc 2.17 (RHEL 7) installs the first, which does not load there. The files tell, the tag does not.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
cd "$work"
python3 -m pip install -q --no-deps --root-user-action=ignore --disable-pip-version-check --target py \
    pyelftools==0.32 2>pip.log || { cat pip.log >&2; exit 1; }
python3 -m pip download -q --no-deps --disable-pip-version-check --only-binary :all: --platform manylinux2014_x86_64 \
    --platform manylinux1_x86_64 --python-version 3.11 -d wheels nvidia-cusparselt-cu12==0.8.1 \
    deepspeed-kernels==0.0.1.dev1698255861 nvidia-nvtx-cu12==12.9.79 2>pip.log || { cat pip.log >&2; exit 1; }

# expect WHAT EXPECTED SEEN
expect() {
    [ "$2" = "$3" ] && echo "as found: $1: $3" && return
    echo "changed: $1: expected '$2', saw '$3'" >&2
    exit 1
}

# asked NAME: the wheel's tags, and the newest GLIBC_ version that a library of it needs, with the library
asked() {
    PYTHONPATH=py python3 - wheels/"$1"-*.whl <<'END'
import io
import sys
import zipfile
from elftools.elf.elffile import ELFFile

newest, library = (0,), ""
with zipfile.ZipFile(sys.argv[1]) as wheel:
    for name in wheel.namelist():
        data = wheel.read(name)
        if not data.startswith(b"\x7fELF"):
            continue
        needs = ELFFile(io.BytesIO(data)).get_section_by_name(".gnu.version_r")
        for _, versions in needs.iter_versions() if needs else ():
            for one in versions:
                if one.name.startswith("GLIBC_") and one.name[6:7].isdigit():
                    version = tuple(int(part) for part in one.name[6:].split("."))
                    if version > newest:
                        newest, library = version, name.rpartition("/")[2]
print(sys.argv[1].rpartition("-")[2].removesuffix(".whl"), library, "GLIBC_" + ".".join(map(str, newest)))
END
}

expect "nvidia-cusparselt-cu12" "manylinux2014_x86_64 libcusparseLt.so.0 GLIBC_2.27" "$(asked nvidia_cusparselt_cu12)"
expect "deepspeed-kernels" "manylinux1_x86_64 libblockedflash.so GLIBC_2.17" "$(asked deepspeed_kernels)"
expect "nvidia-nvtx-cu12" "manylinux1_x86_64.manylinux_2_5_x86_64 libnvtx3interop.so.1 GLIBC_2.2.5" "$(asked nvidia_nvtx_cu12)"
