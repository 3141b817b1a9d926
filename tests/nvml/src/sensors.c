/* Clocks, temperatures, power. */
#include "call.h"

static const char *const CLOCKS[] = {"graphics", "sm", "memory", "video"};
static const char *const THRESHOLDS[] = {"shutdown",     "slowdown",         "memory_max",   "gpu_max",
                                         "acoustic_min", "acoustic_current", "acoustic_max", "gps_current"};

static nvml_status clock_mhz(const char *function, nvml_device device, const char *prefix, unsigned int type,
                             unsigned int *clock) {
    struct call call;
    nvml_status status = call_begin(&call, function, device, ON_GPU);
    if (status == NVML_OK && (type > 3 || clock == NULL))
        status = NVML_INVALID_ARGUMENT;
    if (status == NVML_OK)
        status = value_u32(&call, clock, "%s%s", prefix, CLOCKS[type]);
    return call_end(&call, status);
}

NVML_API nvml_status nvmlDeviceGetClockInfo(nvml_device device, unsigned int type, unsigned int *clock) {
    return clock_mhz(__func__, device, "clock.", type, clock);
}

NVML_API nvml_status nvmlDeviceGetMaxClockInfo(nvml_device device, unsigned int type, unsigned int *clock) {
    return clock_mhz(__func__, device, "clock.max.", type, clock);
}

NVML_API nvml_status nvmlDeviceGetCurrentClocksEventReasons(nvml_device device, uint64_t *reasons) {
    return answer_u64(__func__, device, "clocks.event_reasons", reasons);
}

NVML_API nvml_status nvmlDeviceGetCurrentClocksThrottleReasons(nvml_device device, uint64_t *reasons) {
    return answer_u64(__func__, device, "clocks.event_reasons", reasons);
}

/* There is one sensor, the GPU's. */
static nvml_status read_temperature(const struct call *call, unsigned int sensor, int32_t *celsius) {
    return sensor == 0 ? value_i32(call, celsius, "temperature") : NVML_INVALID_ARGUMENT;
}

NVML_API nvml_status nvmlDeviceGetTemperature(nvml_device device, unsigned int sensor, unsigned int *celsius) {
    struct call call;
    int32_t degrees;
    nvml_status status = call_begin(&call, __func__, device, ON_GPU);
    if (status == NVML_OK)
        status = celsius != NULL ? read_temperature(&call, sensor, &degrees) : NVML_INVALID_ARGUMENT;
    if (status == NVML_OK)
        *celsius = (unsigned int)degrees;
    return call_end(&call, status);
}

NVML_API nvml_status nvmlDeviceGetTemperatureV(nvml_device device, struct temperature_v1 *out) {
    struct call call;
    nvml_status status = call_begin(&call, __func__, device, ON_GPU);
    if (status == NVML_OK && out == NULL)
        status = NVML_INVALID_ARGUMENT;
    if (status == NVML_OK && out->version != STRUCT_VERSION(*out, 1))
        status = NVML_VERSION_MISMATCH;
    if (status == NVML_OK)
        status = read_temperature(&call, out->sensor, &out->temperature);
    return call_end(&call, status);
}

NVML_API nvml_status nvmlDeviceGetTemperatureThreshold(nvml_device device, unsigned int which, unsigned int *celsius) {
    struct call call;
    nvml_status status = call_begin(&call, __func__, device, ON_GPU);
    if (status == NVML_OK && (which > 7 || celsius == NULL))
        status = NVML_INVALID_ARGUMENT;
    if (status == NVML_OK)
        status = value_u32(&call, celsius, "temperature.threshold.%s", THRESHOLDS[which]);
    return call_end(&call, status);
}

NVML_API nvml_status nvmlDeviceGetMarginTemperature(nvml_device device, struct margin_temperature *out) {
    struct call call;
    nvml_status status = call_begin(&call, __func__, device, ON_GPU);
    if (status == NVML_OK && out == NULL)
        status = NVML_INVALID_ARGUMENT;
    if (status == NVML_OK && out->version != STRUCT_VERSION(*out, 1))
        status = NVML_VERSION_MISMATCH;
    if (status == NVML_OK)
        status = value_i32(&call, &out->margin, "temperature.margin");
    return call_end(&call, status);
}

struct utilization {
    unsigned int gpu, memory; /* percent of the last second or so */
};

NVML_API nvml_status nvmlDeviceGetUtilizationRates(nvml_device device, struct utilization *out) {
    struct call call;
    nvml_status status = call_begin(&call, __func__, device, ON_GPU);
    if (status == NVML_OK)
        status = out != NULL ? value_u32(&call, &out->gpu, "utilization.gpu") : NVML_INVALID_ARGUMENT;
    if (status == NVML_OK)
        out->memory = value_u32_or(&call, 0, "utilization.memory");
    return call_end(&call, status);
}

NVML_API nvml_status nvmlDeviceGetPowerUsage(nvml_device device, unsigned int *milliwatts) {
    return answer_u32(__func__, device, "power.usage", milliwatts);
}

NVML_API nvml_status nvmlDeviceGetPowerManagementLimit(nvml_device device, unsigned int *milliwatts) {
    return answer_u32(__func__, device, "power.limit", milliwatts);
}

NVML_API nvml_status nvmlDeviceGetPowerManagementDefaultLimit(nvml_device device, unsigned int *milliwatts) {
    return answer_u32(__func__, device, "power.limit.default", milliwatts);
}

NVML_API nvml_status nvmlDeviceGetEnforcedPowerLimit(nvml_device device, unsigned int *milliwatts) {
    return answer_u32(__func__, device, "power.limit.enforced", milliwatts);
}
