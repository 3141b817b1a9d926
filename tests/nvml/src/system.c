/* What belongs to the driver as a whole. */
#include "call.h"
#include "values.h"

#include <stdio.h>
#include <stdlib.h>

NVML_API const char *nvmlErrorString(nvml_status status) {
    static const char *const words[] = {
        "Success", "Uninitialized", "Invalid Argument", "Not Supported", "Insufficient Permissions",
        "Already Initialized", "Not Found", "Insufficient Size", "Insufficient External Power", "Driver Not Loaded",
        "Timeout", "Interrupt Request Issue", "NVML Shared Library Not Found", "Function Not Found",
        "Corrupted infoROM", "GPU is lost", "GPU requires reset", "The operating system has blocked the request.",
        "RM has detected an NVML/RM version mismatch.", "In use by another client", "Insufficient Memory", "No data",
        "ECC on a virtual GPU is not supported", "Insufficient Resources", "Frequency not supported",
        "Argument version mismatch", "Deprecated", "Not ready", "GPU not found", "Invalid state",
        "Reset type not supported",
    };
    return status < sizeof words / sizeof *words ? words[status] : "Unknown Error";
}

static nvml_status driver_text(const char *function, const char *key, char *out, uint32_t size) {
    struct call call;
    nvml_status status = call_begin_driver(&call, function);
    if (status == NVML_OK)
        status = copy_text(scenario_driver(call.scenario, key), out, size);
    return call_end(&call, status);
}

static nvml_status driver_u32(const char *function, const char *key, uint32_t *out) {
    struct call call;
    nvml_status status = call_begin_driver(&call, function);
    if (status == NVML_OK) {
        const char *text = scenario_driver(call.scenario, key);
        if (out == NULL)
            status = NVML_INVALID_ARGUMENT;
        else if (text == NULL || !parse_u32(text, out))
            status = NVML_NOT_SUPPORTED;
    }
    return call_end(&call, status);
}

NVML_API nvml_status nvmlSystemGetDriverVersion(char *version, unsigned int length) {
    return driver_text(__func__, "driver", version, length);
}

/* The key nvml, or, as the real library has it, CUDA's major number before the driver's version. */
NVML_API nvml_status nvmlSystemGetNVMLVersion(char *version, unsigned int length) {
    struct call call;
    nvml_status status = call_begin_driver(&call, __func__);
    if (status == NVML_OK) {
        const char *given = scenario_driver(call.scenario, "nvml");
        const char *driver = scenario_driver(call.scenario, "driver"), *cuda = scenario_driver(call.scenario, "cuda");
        char *made = NULL;
        uint32_t major, minor;
        if (given == NULL && driver != NULL && cuda != NULL && parse_version(cuda, &major, &minor) &&
            asprintf(&made, "%u.%s", major, driver) < 0)
            made = NULL;
        status = copy_text(given != NULL ? given : made, version, length);
        free(made);
    }
    return call_end(&call, status);
}

static nvml_status cuda_version(const char *function, int *version) {
    struct call call;
    nvml_status status = call_begin_driver(&call, function);
    if (status == NVML_OK) {
        const char *text = scenario_driver(call.scenario, "cuda");
        uint32_t major, minor;
        if (version == NULL)
            status = NVML_INVALID_ARGUMENT;
        else if (text == NULL || !parse_version(text, &major, &minor))
            status = NVML_NOT_SUPPORTED;
        else
            *version = (int)(major * 1000 + minor * 10);
    }
    return call_end(&call, status);
}

NVML_API nvml_status nvmlSystemGetCudaDriverVersion(int *version) {
    return cuda_version(__func__, version);
}

NVML_API nvml_status nvmlSystemGetCudaDriverVersion_v2(int *version) {
    return cuda_version(__func__, version);
}

static nvml_status device_count(const char *function, unsigned int *count) {
    struct call call;
    nvml_status status = call_begin_driver(&call, function);
    if (status == NVML_OK && count == NULL)
        status = NVML_INVALID_ARGUMENT;
    if (status == NVML_OK)
        *count = scenario_gpus(call.scenario);
    return call_end(&call, status);
}

NVML_API nvml_status nvmlDeviceGetCount(unsigned int *count) {
    return device_count(__func__, count);
}

NVML_API nvml_status nvmlDeviceGetCount_v2(unsigned int *count) {
    return device_count(__func__, count);
}

NVML_API nvml_status nvmlGetExcludedDeviceCount(unsigned int *count) {
    return driver_u32(__func__, "excluded", count);
}

NVML_API nvml_status nvmlSystemGetConfComputeGpusReadyState(unsigned int *ready) {
    return driver_u32(__func__, "cc.ready", ready);
}

static uint32_t driver_u32_or_0(const struct call *call, const char *key) {
    const char *text = scenario_driver(call->scenario, key);
    uint32_t number;
    return text != NULL && parse_u32(text, &number) ? number : 0;
}

NVML_API nvml_status nvmlSystemGetConfComputeState(struct conf_compute_state *state) {
    struct call call;
    nvml_status status = call_begin_driver(&call, __func__);
    if (status == NVML_OK && state == NULL)
        status = NVML_INVALID_ARGUMENT;
    else if (status == NVML_OK && scenario_driver(call.scenario, "cc.feature") == NULL)
        status = NVML_NOT_SUPPORTED;
    if (status == NVML_OK) {
        state->environment = driver_u32_or_0(&call, "cc.environment");
        state->feature = driver_u32_or_0(&call, "cc.feature");
        state->devtools = driver_u32_or_0(&call, "cc.devtools");
    }
    return call_end(&call, status);
}
