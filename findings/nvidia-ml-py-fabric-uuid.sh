#!/bin/sh
# nvmlDeviceGetGpuFabricInfo by nvidia-ml-py 12.570.86 and 13.590.48, on a library that fills NVIDIA's own structure
# (nvidia-nvml-dev 13.5.37) with state 2, in progress, and status 999.
#
# Guess: both releases say what the library wrote.
# Seen:  c_nvmlGpuFabricInfo_t has a clusterUuid of 80 bytes (NVML_DEVICE_UUID_BUFFER_SIZE) where nvml.h has 16
#        (NVML_GPU_FABRIC_UUID_LEN): it is 92 bytes long instead of 28, and its state and status are always 0, "not
#        supported" and no error. 13.615.71 has 16. Only the structures with a version are right in all three.
# Who asks so on a driver before 545, or as a last resort, takes GPUs that have not joined their NVLink fabric for GPUs
# that have none. The 12.5xx releases have no c_nvmlGpuFabricInfo_v2_t: it is c_nvmlGpuFabricInfoV_t there.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
cd "$work"
pip() {
    python3 -m pip install -q --no-deps --root-user-action=ignore --disable-pip-version-check --target "$@" 2>pip.log ||
        { cat pip.log >&2; exit 1; }
}
pip dev nvidia-nvml-dev==13.5.37

# expect WHAT EXPECTED SEEN
expect() {
    [ "$2" = "$3" ] && echo "as found: $1: $3" && return
    echo "changed: $1: expected '$2', saw '$3'" >&2
    exit 1
}

cat >library.c <<'C'
#include <string.h>
#include "nvml.h"
#undef nvmlInit
nvmlReturn_t nvmlInitWithFlags(unsigned int flags) { return NVML_SUCCESS; }
nvmlReturn_t nvmlDeviceGetGpuFabricInfo(nvmlDevice_t device, nvmlGpuFabricInfo_t *info) {
    memset(info, 0, sizeof *info);
    info->state = 2;
    info->status = 999;
    return NVML_SUCCESS;
}
C
cc -w -shared -fPIC -Wl,-soname,libnvidia-ml.so.1 -I dev/nvidia/cu13/include library.c -o libnvidia-ml.so.1

# said RELEASE: size of the structure, state, status, and whether the second version has its name
said() {
    pip "$1" "nvidia-ml-py==$1"
    PYTHONPATH=$1 LD_LIBRARY_PATH=$work python3 -c 'import ctypes
import pynvml as p
p.nvmlInit()
info = p.c_nvmlGpuFabricInfo_t()
p.nvmlDeviceGetGpuFabricInfo(ctypes.c_void_p(8), ctypes.byref(info))
print(ctypes.sizeof(info), info.state, info.status, hasattr(p, "c_nvmlGpuFabricInfo_v2_t"))'
}

expect 'nvidia-ml-py 12.570.86' '92 0 0 False' "$(said 12.570.86)"
expect 'nvidia-ml-py 13.590.48' '92 0 0 True' "$(said 13.590.48)"
expect 'nvidia-ml-py 13.615.71' '28 2 999 True' "$(said 13.615.71)"
