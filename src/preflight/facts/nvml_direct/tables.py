"""What a prolog asks of NVML: functions and their symbols, structures and the places of their fields.

As nvidia-ml-py has them (12.570 to 13.615, of NVIDIA's nvml.h), where a test looks each of them up.
"""

from __future__ import annotations

POINTER = "P"
MEMORY_V2 = 0x02000028  # nvmlMemory_v2

# function -> (symbol, format of each number that it fills in). What the caller gives, the handle first, comes before.
NUMBERS = {
    "nvmlSystemGetCudaDriverVersion_v2": ("nvmlSystemGetCudaDriverVersion_v2", "i"),
    "nvmlDeviceGetCount": ("nvmlDeviceGetCount_v2", "I"),
    "nvmlDeviceGetHandleByIndex": ("nvmlDeviceGetHandleByIndex_v2", POINTER),
    "nvmlDeviceGetMinorNumber": ("nvmlDeviceGetMinorNumber", "I"),
    "nvmlDeviceGetCudaComputeCapability": ("nvmlDeviceGetCudaComputeCapability", "ii"),
    "nvmlDeviceGetMigMode": ("nvmlDeviceGetMigMode", "II"),
    "nvmlDeviceGetEccMode": ("nvmlDeviceGetEccMode", "II"),
    "nvmlDeviceGetTotalEccErrors": ("nvmlDeviceGetTotalEccErrors", "Q"),
    "nvmlDeviceGetRemappedRows": ("nvmlDeviceGetRemappedRows", "IIII"),
    "nvmlDeviceGetNvLinkState": ("nvmlDeviceGetNvLinkState", "I"),
    "nvmlDeviceGetTemperature": ("nvmlDeviceGetTemperature", "I"),
    "nvmlDeviceGetCurrPcieLinkWidth": ("nvmlDeviceGetCurrPcieLinkWidth", "I"),
    "nvmlDeviceGetMaxPcieLinkWidth": ("nvmlDeviceGetMaxPcieLinkWidth", "I"),
    "nvmlGetExcludedDeviceCount": ("nvmlGetExcludedDeviceCount", "I"),
    "nvmlDeviceGetMaxMigDeviceCount": ("nvmlDeviceGetMaxMigDeviceCount", "I"),
    "nvmlDeviceGetMigDeviceHandleByIndex": ("nvmlDeviceGetMigDeviceHandleByIndex", POINTER),
    "nvmlDeviceGetGpuInstanceId": ("nvmlDeviceGetGpuInstanceId", "I"),
    "nvmlDeviceGetComputeInstanceId": ("nvmlDeviceGetComputeInstanceId", "I"),
}
# function -> bytes of the buffer that it fills with text.
TEXTS = {"nvmlSystemGetDriverVersion": 80, "nvmlDeviceGetUUID": 96, "nvmlDeviceGetName": 96}
# structure -> (bytes, {field: (offset, format)}): those fields that are read.
LAYOUTS = {
    "nvmlPciInfo_t": (68, {"busId": (36, "32s")}),
    "c_nvmlMemory_t": (24, {"total": (0, "Q"), "used": (16, "Q")}),
    "c_nvmlMemory_v2_t": (40, {"version": (0, "I"), "total": (8, "Q"), "used": (32, "Q")}),
    "c_nvmlProcessInfo_v2_t": (
        24,
        {"pid": (0, "I"), "usedGpuMemory": (8, "Q"), "gpuInstanceId": (16, "I"), "computeInstanceId": (20, "I")},
    ),
    "c_nvmlFieldValue_t": (
        40,
        {"fieldId": (0, "I"), "scopeId": (4, "I"), "valueType": (24, "I"), "nvmlReturn": (28, "I")},
    ),
    "c_nvmlGpuFabricInfo_t": (28, {"status": (16, "I"), "state": (24, "I")}),
    "c_nvmlGpuFabricInfo_v2_t": (
        36,
        {"version": (0, "I"), "status": (20, "I"), "state": (28, "I"), "healthMask": (32, "I")},
    ),
    "c_nvmlGpuFabricInfo_v3_t": (
        40,
        {
            "version": (0, "I"),
            "status": (20, "I"),
            "state": (28, "I"),
            "healthMask": (32, "I"),
            "healthSummary": (36, "B"),
        },
    ),
    "c_nvmlExcludedDeviceInfo_t": (148, {}),
    "c_nvmlDeviceAttributes": (
        40,
        {"gpuInstanceSliceCount": (24, "I"), "computeInstanceSliceCount": (28, "I"), "memorySizeMB": (32, "Q")},
    ),
}
VALUE_AT = 32  # of c_nvmlFieldValue_t's union
VALUES = {"dVal": "d", "uiVal": "I", "ulVal": "L", "ullVal": "Q", "sllVal": "q", "siVal": "i", "usVal": "H"}
# The first word of a structure with a version: nvmlGpuFabricInfo_v3 and the like.
VERSIONS = {"c_nvmlGpuFabricInfo_v2_t": 0x02000024, "c_nvmlGpuFabricInfo_v3_t": 0x03000028}
# function -> (symbol, the structure that it fills in).
RECORDS = {
    "nvmlDeviceGetPciInfo": ("nvmlDeviceGetPciInfo_v3", "nvmlPciInfo_t"),
    "nvmlDeviceGetAttributes_v2": ("nvmlDeviceGetAttributes_v2", "c_nvmlDeviceAttributes"),
}
# function -> symbol; the caller brings the structure.
GIVEN = {
    "nvmlDeviceGetGpuFabricInfoV": "nvmlDeviceGetGpuFabricInfoV",
    "nvmlDeviceGetGpuFabricInfo": "nvmlDeviceGetGpuFabricInfo",
}
# function -> symbol, of those that list processes.
PROCESSES = {
    "nvmlDeviceGetComputeRunningProcesses": "nvmlDeviceGetComputeRunningProcesses_v3",
    "nvmlDeviceGetComputeRunningProcesses_v2": "nvmlDeviceGetComputeRunningProcesses_v2",
    "nvmlDeviceGetMPSComputeRunningProcesses": "nvmlDeviceGetMPSComputeRunningProcesses_v3",
    "nvmlDeviceGetMPSComputeRunningProcesses_v2": "nvmlDeviceGetMPSComputeRunningProcesses_v2",
}
