/* MIG: a GPU cut into devices, each with a handle of its own. */
#include "call.h"

#define USUAL_MOST 7 /* instances of a data-centre GPU */

NVML_API nvml_status nvmlDeviceGetMigMode(nvml_device device, unsigned int *now, unsigned int *pending) {
    struct call call;
    nvml_status status = call_begin(&call, __func__, device, ON_GPU);
    if (status == NVML_OK)
        status = now != NULL && pending != NULL ? value_u32(&call, now, "mig.mode") : NVML_INVALID_ARGUMENT;
    if (status == NVML_OK)
        *pending = value_u32_or(&call, *now, "mig.mode.pending");
    return call_end(&call, status);
}

/* How many MIG devices there may be: NotSupported without mig.mode, none while it is off. */
static nvml_status most_devices(const struct call *call, uint32_t *most) {
    uint32_t mode;
    nvml_status status = value_u32(call, &mode, "mig.mode");
    if (status == NVML_OK)
        *most = mode == 1 ? value_u32_or(call, USUAL_MOST, "mig.max") : 0;
    return status;
}

NVML_API nvml_status nvmlDeviceGetMaxMigDeviceCount(nvml_device device, unsigned int *count) {
    struct call call;
    nvml_status status = call_begin(&call, __func__, device, ON_GPU);
    if (status == NVML_OK)
        status = count != NULL ? most_devices(&call, count) : NVML_INVALID_ARGUMENT;
    return call_end(&call, status);
}

NVML_API nvml_status nvmlDeviceGetMigDeviceHandleByIndex(nvml_device device, unsigned int index, nvml_device *mig) {
    struct call call;
    uint32_t most;
    nvml_status status = call_begin(&call, __func__, device, ON_GPU);
    if (status == NVML_OK)
        status = mig != NULL ? most_devices(&call, &most) : NVML_INVALID_ARGUMENT;
    if (status == NVML_OK && most > 0 && index >= most)
        status = NVML_INVALID_ARGUMENT;
    if (status == NVML_OK && !mig_exists(call.scenario, call.gpu, index))
        status = NVML_NOT_FOUND;
    if (status == NVML_OK)
        *mig = device_handle(call.gpu, index);
    return call_end(&call, status);
}

NVML_API nvml_status nvmlDeviceGetDeviceHandleFromMigDeviceHandle(nvml_device mig, nvml_device *device) {
    struct call call;
    nvml_status status = call_begin(&call, __func__, mig, ON_GPU_OR_MIG);
    if (status == NVML_OK && (call.mig == NOT_MIG || device == NULL))
        status = NVML_INVALID_ARGUMENT;
    if (status == NVML_OK)
        *device = device_handle(call.gpu, NOT_MIG);
    return call_end(&call, status);
}

NVML_API nvml_status nvmlDeviceIsMigDeviceHandle(nvml_device device, unsigned int *is_mig) {
    struct call call;
    nvml_status status = call_begin(&call, __func__, device, ON_GPU_OR_MIG);
    if (status == NVML_OK && is_mig == NULL)
        status = NVML_INVALID_ARGUMENT;
    if (status == NVML_OK)
        *is_mig = call.mig != NOT_MIG;
    return call_end(&call, status);
}

/* A key of the MIG device; the whole GPU has no such thing. */
static nvml_status instance_u32(const struct call *call, const char *key, uint32_t *out) {
    return call->mig != NOT_MIG ? value_u32(call, out, "mig.%u.%s", call->mig, key) : NVML_NOT_SUPPORTED;
}

NVML_API nvml_status nvmlDeviceGetGpuInstanceId(nvml_device device, unsigned int *id) {
    struct call call;
    nvml_status status = call_begin(&call, __func__, device, ON_GPU_OR_MIG);
    if (status == NVML_OK)
        status = id != NULL ? instance_u32(&call, "gi", id) : NVML_INVALID_ARGUMENT;
    return call_end(&call, status);
}

/* 0, the only compute instance of its GPU instance, unless told. */
NVML_API nvml_status nvmlDeviceGetComputeInstanceId(nvml_device device, unsigned int *id) {
    struct call call;
    nvml_status status = call_begin(&call, __func__, device, ON_GPU_OR_MIG);
    if (status == NVML_OK && id == NULL)
        status = NVML_INVALID_ARGUMENT;
    if (status == NVML_OK)
        status = call.mig != NOT_MIG ? NVML_OK : NVML_NOT_SUPPORTED;
    if (status == NVML_OK)
        *id = mig_compute_instance(&call);
    return call_end(&call, status);
}

NVML_API nvml_status nvmlDeviceGetAttributes_v2(nvml_device device, struct device_attributes *out) {
    struct call call;
    nvml_status status = call_begin(&call, __func__, device, ON_GPU_OR_MIG);
    if (status == NVML_OK)
        status = out == NULL ? NVML_INVALID_ARGUMENT : call.mig == NOT_MIG ? NVML_NOT_SUPPORTED : NVML_OK;
    if (status == NVML_OK) {
        uint64_t bytes = 0;
        *out = (struct device_attributes){0};
        value_u64(&call, &bytes, "mig.%u.memory.total", call.mig);
        out->memory_mib = bytes >> 20;
        instance_u32(&call, "slices", &out->gpu_slices);
        if (instance_u32(&call, "compute_slices", &out->compute_slices) != NVML_OK)
            out->compute_slices = out->gpu_slices;
        instance_u32(&call, "multiprocessors", &out->multiprocessors);
    }
    return call_end(&call, status);
}
