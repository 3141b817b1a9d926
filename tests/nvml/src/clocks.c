/* The clocks that a GPU can be set to. Nobody is let set one: what asks for it needs rights that it does not have here. */
#include "call.h"
#include "values.h"

#include <stdlib.h>

static const char *const CLOCKS[] = {"graphics", "sm", "memory", "video"};

NVML_API nvml_status nvmlDeviceGetApplicationsClock(nvml_device device, unsigned int type, unsigned int *mhz) {
    struct call call;
    nvml_status status = call_begin(&call, __func__, device, ON_GPU);
    if (status == NVML_OK && (type > 3 || mhz == NULL))
        status = NVML_INVALID_ARGUMENT;
    if (status == NVML_OK)
        status = value_u32(&call, mhz, "clock.application.%s", CLOCKS[type]);
    return call_end(&call, status);
}

/* Copies the list under the key; where it does not fit, only says how many there are. */
static nvml_status copy_list(const struct call *call, const char *key, unsigned int *count, unsigned int *mhz) {
    const char *text = scenario_gpu(call->scenario, call->gpu, "%s", key);
    uint32_t all, room = *count;
    if (text == NULL || !parse_numbers(text, NULL, 0, &all))
        return NVML_NOT_SUPPORTED;
    *count = all;
    if (all > room || mhz == NULL)
        return NVML_INSUFFICIENT_SIZE;
    parse_numbers(text, mhz, room, &all);
    return NVML_OK;
}

NVML_API nvml_status nvmlDeviceGetSupportedMemoryClocks(nvml_device device, unsigned int *count, unsigned int *mhz) {
    struct call call;
    nvml_status status = call_begin(&call, __func__, device, ON_GPU);
    if (status == NVML_OK)
        status = count != NULL ? copy_list(&call, "clocks.supported.memory", count, mhz) : NVML_INVALID_ARGUMENT;
    return call_end(&call, status);
}

/* Whether the memory can run at that clock; where it is not known, NotSupported. */
static nvml_status memory_runs_at(const struct call *call, uint32_t mhz) {
    const char *text = scenario_gpu(call->scenario, call->gpu, "clocks.supported.memory");
    uint32_t count;
    if (text == NULL || !parse_numbers(text, NULL, 0, &count))
        return NVML_NOT_SUPPORTED;
    uint32_t *clocks = calloc(count, sizeof *clocks);
    nvml_status status = clocks != NULL ? NVML_NOT_FOUND : NVML_MEMORY;
    if (clocks != NULL)
        parse_numbers(text, clocks, count, &count);
    for (uint32_t i = 0; clocks != NULL && i < count; i++)
        if (clocks[i] == mhz)
            status = NVML_OK;
    free(clocks);
    return status;
}

/* The same graphics clocks for every clock of the memory. */
NVML_API nvml_status nvmlDeviceGetSupportedGraphicsClocks(nvml_device device, unsigned int memory_mhz,
                                                          unsigned int *count, unsigned int *mhz) {
    struct call call;
    nvml_status status = call_begin(&call, __func__, device, ON_GPU);
    if (status == NVML_OK)
        status = count != NULL ? memory_runs_at(&call, memory_mhz) : NVML_INVALID_ARGUMENT;
    if (status == NVML_OK)
        status = copy_list(&call, "clocks.supported.graphics", count, mhz);
    return call_end(&call, status);
}

/* Of a GPU whose clocks can be set at all. */
static nvml_status refuse(const char *function, nvml_device device, const char *key) {
    struct call call;
    nvml_status status = call_begin(&call, function, device, ON_GPU);
    if (status == NVML_OK)
        status = call_has(&call, key) ? NVML_NO_PERMISSION : NVML_NOT_SUPPORTED;
    return call_end(&call, status);
}

NVML_API nvml_status nvmlDeviceSetApplicationsClocks(nvml_device device, unsigned int memory, unsigned int graphics) {
    (void)memory;
    (void)graphics;
    return refuse(__func__, device, "clocks.supported.graphics");
}

NVML_API nvml_status nvmlDeviceResetApplicationsClocks(nvml_device device) {
    return refuse(__func__, device, "clocks.supported.graphics");
}

NVML_API nvml_status nvmlDeviceSetGpuLockedClocks(nvml_device device, unsigned int least, unsigned int most) {
    (void)least;
    (void)most;
    return refuse(__func__, device, "clocks.supported.graphics");
}

NVML_API nvml_status nvmlDeviceResetGpuLockedClocks(nvml_device device) {
    return refuse(__func__, device, "clocks.supported.graphics");
}

NVML_API nvml_status nvmlDeviceSetMemoryLockedClocks(nvml_device device, unsigned int least, unsigned int most) {
    (void)least;
    (void)most;
    return refuse(__func__, device, "clocks.supported.memory");
}

NVML_API nvml_status nvmlDeviceResetMemoryLockedClocks(nvml_device device) {
    return refuse(__func__, device, "clocks.supported.memory");
}
