/* The board and how it is set up: firmware, InfoROM, modes, place in the rack. */
#include "call.h"
#include "values.h"

#include <string.h>

NVML_API nvml_status nvmlDeviceGetVbiosVersion(nvml_device device, char *version, unsigned int length) {
    return answer_text(__func__, device, "vbios", version, length);
}

NVML_API nvml_status nvmlDeviceGetInforomImageVersion(nvml_device device, char *version, unsigned int length) {
    return answer_text(__func__, device, "inforom.image_version", version, length);
}

NVML_API nvml_status nvmlDeviceGetInforomConfigurationChecksum(nvml_device device, unsigned int *checksum) {
    return answer_u32(__func__, device, "inforom.checksum", checksum);
}

NVML_API nvml_status nvmlDeviceValidateInforom(nvml_device device) {
    uint32_t valid;
    nvml_status status = answer_u32(__func__, device, "inforom.valid", &valid);
    return status == NVML_OK && valid == 0 ? NVML_CORRUPTED_INFOROM : status;
}

/* The caller's buffer is 64 bytes by convention; the call does not say. */
NVML_API nvml_status nvmlDeviceGetGspFirmwareVersion(nvml_device device, char *version) {
    return answer_text(__func__, device, "gsp.version", version, 64);
}

NVML_API nvml_status nvmlDeviceGetGspFirmwareMode(nvml_device device, unsigned int *enabled, unsigned int *usual) {
    struct call call;
    nvml_status status = call_begin(&call, __func__, device, ON_GPU);
    if (status == NVML_OK)
        status = enabled != NULL && usual != NULL ? value_u32(&call, enabled, "gsp.mode") : NVML_INVALID_ARGUMENT;
    if (status == NVML_OK)
        *usual = value_u32_or(&call, *enabled, "gsp.mode.default");
    return call_end(&call, status);
}

/* pynvml names the members of version 1 and 2 differently; size and places are the same. */
NVML_API nvml_status nvmlDeviceGetPlatformInfo(nvml_device device, struct platform_info *info) {
    struct call call;
    uint32_t module;
    nvml_status status = call_begin(&call, __func__, device, ON_GPU);
    if (status == NVML_OK && info == NULL)
        status = NVML_INVALID_ARGUMENT;
    if (status == NVML_OK && info->version != STRUCT_VERSION(*info, 1) && info->version != STRUCT_VERSION(*info, 2))
        status = NVML_VERSION_MISMATCH;
    if (status == NVML_OK)
        status = value_u32(&call, &module, "platform.module");
    if (status == NVML_OK) {
        const char *guid = scenario_gpu(call.scenario, call.gpu, "platform.ib_guid");
        const char *chassis = scenario_gpu(call.scenario, call.gpu, "platform.chassis");
        *info = (struct platform_info){.version = info->version, .module = (uint8_t)module};
        if (guid != NULL)
            parse_hex16(guid, info->ib_guid);
        if (chassis != NULL)
            memcpy(info->chassis, chassis, strnlen(chassis, sizeof info->chassis));
        info->slot = (uint8_t)value_u32_or(&call, 0, "platform.slot");
        info->tray = (uint8_t)value_u32_or(&call, 0, "platform.tray");
        info->host = (uint8_t)value_u32_or(&call, 0, "platform.host");
        info->peer = (uint8_t)value_u32_or(&call, 0, "platform.peer");
    }
    return call_end(&call, status);
}

NVML_API nvml_status nvmlDeviceGetVirtualizationMode(nvml_device device, unsigned int *mode) {
    return answer_u32(__func__, device, "virtualization.mode", mode);
}

NVML_API nvml_status nvmlDeviceGetCpuAffinity(nvml_device device, unsigned int words, unsigned long *cpus) {
    struct call call;
    nvml_status status = call_begin(&call, __func__, device, ON_GPU);
    if (status == NVML_OK && (words == 0 || cpus == NULL))
        status = NVML_INVALID_ARGUMENT;
    if (status == NVML_OK) {
        const char *text = scenario_gpu(call.scenario, call.gpu, "affinity.cpus");
        status = text != NULL && parse_cpus(text, cpus, words) ? NVML_OK : NVML_NOT_SUPPORTED;
    }
    return call_end(&call, status);
}

NVML_API nvml_status nvmlDeviceGetPersistenceMode(nvml_device device, unsigned int *mode) {
    return answer_u32(__func__, device, "persistence.mode", mode);
}

NVML_API nvml_status nvmlDeviceGetComputeMode(nvml_device device, unsigned int *mode) {
    return answer_u32(__func__, device, "compute.mode", mode);
}

NVML_API nvml_status nvmlDeviceGetPerformanceState(nvml_device device, unsigned int *state) {
    return answer_u32(__func__, device, "performance_state", state);
}
