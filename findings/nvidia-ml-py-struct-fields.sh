#!/bin/sh
# Structures of nvidia-ml-py 13.615.71 against NVIDIA's own nvml.h (nvidia-nvml-dev 13.5.37, both of driver branch 615).
#
# Guess: the binding's structures have the fields of the header by their names, each as wide as there.
# Seen:  c_nvmlRemappedRowsInfo_v2_t       bfailureOccurred  in nvml.h bFailureOccurred
#        c_nvmlWorkloadPowerProfileInfo_v1_t conflictingmask in nvml.h conflictingMask
#        c_nvmlGpuFabricInfo_v2_t, _v3_t   state is 4 bytes wide, in nvml.h 1 (unsigned char) before 3 of padding
#        c_nvmlPowerValue_v2_t             powerScope likewise
#        nvmlC2cModeInfo_v1                0x1000008, in nvml.h 0x1000004 (the structure is 4 bytes long in both)
# Who asks for the failure of row remapping (a reason to return a GPU) by the name that NVIDIA documents gets AttributeError;
# who lets a library fill a structure of his own, not zeroed, must mask `state`.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
cd "$work"
python3 -m pip install -q --no-deps --root-user-action=ignore --disable-pip-version-check --target py \
    nvidia-ml-py==13.615.71 nvidia-nvml-dev==13.5.37 2>pip.log || { cat pip.log >&2; exit 1; }

# expect WHAT EXPECTED SEEN
expect() {
    [ "$2" = "$3" ] && echo "as found: $1: $3" && return
    echo "changed: $1: expected '$2', saw '$3'" >&2
    exit 1
}

# header EXPRESSION: its value in C, with NVIDIA's header; "no such field" where it does not compile
header() {
    printf '#include <stdio.h>\n#include "nvml.h"\nint main(void) { printf("%%lu\\n", (unsigned long)(%s)); return 0; }\n' "$1" >one.c
    cc -w -I py/nvidia/cu13/include one.c -o one 2>/dev/null && ./one || echo "no such field"
}

# binding EXPRESSION: its value in Python; the error's name where it has none
binding() {
    PYTHONPATH=py python3 -c 'import ctypes, sys
import pynvml as p
try:
    print(eval(sys.argv[1]))
except AttributeError:
    print("AttributeError")' "$1"
}

width() { header "sizeof(((nvml$1 *)0)->$2)"; }

expect "bFailureOccurred in nvml.h" 4 "$(width RemappedRowsInfo_v2_t bFailureOccurred)"
expect "bFailureOccurred in the binding" AttributeError "$(binding 'p.c_nvmlRemappedRowsInfo_v2_t().bFailureOccurred')"
expect "bfailureOccurred in the binding" 0 "$(binding 'p.c_nvmlRemappedRowsInfo_v2_t().bfailureOccurred')"
expect "bfailureOccurred in nvml.h" "no such field" "$(width RemappedRowsInfo_v2_t bfailureOccurred)"
expect "conflictingmask in nvml.h" "no such field" "$(width WorkloadPowerProfileInfo_v1_t conflictingmask)"
expect "conflictingmask in the binding" True "$(binding 'hasattr(p.c_nvmlWorkloadPowerProfileInfo_v1_t, "conflictingmask")')"
for version in v2 v3; do
    expect "state of GpuFabricInfo_$version in nvml.h, bytes" 1 "$(width "GpuFabricInfo_${version}_t" state)"
    expect "state of GpuFabricInfo_$version in the binding" 4 "$(binding "p.c_nvmlGpuFabricInfo_${version}_t.state.size")"
done
expect "powerScope in nvml.h, bytes" 1 "$(width PowerValue_v2_t powerScope)"
expect "powerScope in the binding" 4 "$(binding 'p.c_nvmlPowerValue_v2_t.powerScope.size')"
expect "nvmlC2cModeInfo_v1 in nvml.h" 16777220 "$(header nvmlC2cModeInfo_v1)"
expect "nvmlC2cModeInfo_v1 in the binding" 16777224 "$(binding p.nvmlC2cModeInfo_v1)"
