#include "call.h"

#include "state.h"
#include "values.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/*
 * A handle is a number, not a pointer: a tag, the GPU's index and, for a MIG device, its index plus one. So a stale
 * or invented handle is told from a good one without touching memory.
 */
#define TAG UINT64_C(0x4e56)
#define TAG_SHIFT 48
#define GPU_SHIFT 24
#define LOW_MASK UINT64_C(0xffffff)

nvml_device device_handle(uint32_t gpu, uint32_t mig) {
    uint64_t low = mig == NOT_MIG ? 0 : ((uint64_t)mig + 1) & LOW_MASK;
    return (nvml_device)(uintptr_t)(TAG << TAG_SHIFT | (uint64_t)gpu << GPU_SHIFT | low);
}

/* Reads a key whose value was validated when the scenario was loaded. */
static uint32_t number_or(const char *text, uint32_t otherwise) {
    uint32_t number;
    return text != NULL && parse_u32(text, &number) ? number : otherwise;
}

bool mig_exists(const struct scenario *scenario, uint32_t gpu, uint32_t mig) {
    return number_or(scenario_gpu(scenario, gpu, "mig.mode"), 0) == 1 &&
           scenario_gpu(scenario, gpu, "mig.%u.gi", mig) != NULL;
}

uint32_t mig_compute_instance(const struct call *call) {
    return number_or(scenario_gpu(call->scenario, call->gpu, "mig.%u.ci", call->mig), 0);
}

bool call_has(const struct call *call, const char *key) {
    return scenario_gpu(call->scenario, call->gpu, "%s", key) != NULL;
}

static bool read_handle(struct call *call, nvml_device device) {
    uint64_t bits = (uintptr_t)device;
    uint64_t mig = bits & LOW_MASK;
    call->gpu = (uint32_t)(bits >> GPU_SHIFT & LOW_MASK);
    call->mig = mig == 0 ? NOT_MIG : (uint32_t)(mig - 1);
    return bits >> TAG_SHIFT == TAG && call->gpu < scenario_gpus(call->scenario) &&
           (call->mig == NOT_MIG || mig_exists(call->scenario, call->gpu, call->mig));
}

/* The length of the symbol without a trailing _v1, _v2 … */
static int base_length(const char *function) {
    size_t length = strlen(function), digits = length;
    while (digits > 0 && function[digits - 1] >= '0' && function[digits - 1] <= '9')
        digits--;
    bool versioned = digits < length && digits > 2 && strncmp(function + digits - 2, "_v", 2) == 0;
    return (int)(versioned ? digits - 2 : length);
}

/* KIND.function of one scope, the full symbol before the one without version. "" masks wider scopes. */
static const char *told_in(const struct scenario *scenario, int64_t scope, const char *kind, const char *function) {
    char name[160];
    snprintf(name, sizeof name, "%s.%s", kind, function);
    const char *value = scenario_exact(scenario, scope, name);
    if (value != NULL)
        return value;
    snprintf(name, sizeof name, "%s.%.*s", kind, base_length(function), function);
    return scenario_exact(scenario, scope, name);
}

/* The number under KIND.function: gpu.N before gpu.* before the driver's own; 0 where there is none. */
static uint32_t told(const struct scenario *scenario, int64_t gpu, const char *kind, const char *function) {
    const char *value = NULL;
    if (gpu >= 0) {
        value = told_in(scenario, gpu, kind, function);
        if (value == NULL)
            value = told_in(scenario, SCOPE_EVERY_GPU, kind, function);
    }
    if (value == NULL)
        value = told_in(scenario, SCOPE_DRIVER, kind, function);
    return number_or(value, 0);
}

/* Sleeps it out: a driver that hangs does not come back for a signal's sake. */
void call_wait(uint32_t milliseconds) {
    struct timespec until;
    if (milliseconds == 0)
        return;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += milliseconds / 1000;
    until.tv_nsec += (long)(milliseconds % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
        ;
}

static nvml_status rehearse(const struct scenario *scenario, int64_t gpu, const char *function) {
    call_wait(told(scenario, gpu, "delay_ms", function));
    if (gpu >= 0 && number_or(scenario_gpu(scenario, (uint32_t)gpu, "lost"), 0) == 1)
        return NVML_GPU_IS_LOST;
    return told(scenario, gpu, "ret", function);
}

nvml_status call_rehearse(const struct scenario *scenario, const char *function) {
    return rehearse(scenario, SCOPE_DRIVER, function);
}

nvml_status call_rehearse_gpu(const struct call *call, const char *function) {
    return rehearse(call->scenario, call->gpu, function);
}

nvml_status call_open(struct call *call) {
    *call = (struct call){state_acquire(), 0, NOT_MIG};
    return call->scenario != NULL ? NVML_OK : NVML_UNINITIALIZED;
}

nvml_status call_begin_driver(struct call *call, const char *function) {
    nvml_status status = call_open(call);
    return status == NVML_OK ? call_rehearse(call->scenario, function) : status;
}

nvml_status call_begin_gpu(struct call *call, const char *function, uint32_t gpu) {
    nvml_status status = call_open(call);
    if (status != NVML_OK)
        return status;
    call->gpu = gpu;
    return gpu < scenario_gpus(call->scenario) ? rehearse(call->scenario, gpu, function) : NVML_INVALID_ARGUMENT;
}

nvml_status call_begin(struct call *call, const char *function, nvml_device device, enum call_on on) {
    nvml_status status = call_open(call);
    if (status != NVML_OK)
        return status;
    if (!read_handle(call, device))
        return NVML_INVALID_ARGUMENT;
    status = call_rehearse_gpu(call, function);
    return status == NVML_OK && on == ON_GPU && call->mig != NOT_MIG ? NVML_NOT_SUPPORTED : status;
}

nvml_status call_end(struct call *call, nvml_status status) {
    state_release(call->scenario);
    call->scenario = NULL;
    return status;
}

#define LOOK_UP(text, call, key)                                            \
    va_list arguments;                                                      \
    va_start(arguments, key);                                               \
    const char *text = scenario_gpu_v((call)->scenario, (call)->gpu, key, arguments); \
    va_end(arguments)

nvml_status value_u32(const struct call *call, uint32_t *out, const char *key, ...) {
    LOOK_UP(text, call, key);
    return text != NULL && parse_u32(text, out) ? NVML_OK : NVML_NOT_SUPPORTED;
}

nvml_status value_u64(const struct call *call, uint64_t *out, const char *key, ...) {
    LOOK_UP(text, call, key);
    return text != NULL && parse_u64(text, out) ? NVML_OK : NVML_NOT_SUPPORTED;
}

nvml_status value_i32(const struct call *call, int32_t *out, const char *key, ...) {
    LOOK_UP(text, call, key);
    return text != NULL && parse_i32(text, out) ? NVML_OK : NVML_NOT_SUPPORTED;
}

uint32_t value_u32_or(const struct call *call, uint32_t otherwise, const char *key) {
    return number_or(scenario_gpu(call->scenario, call->gpu, "%s", key), otherwise);
}

uint64_t value_u64_or(const struct call *call, uint64_t otherwise, const char *key) {
    uint64_t number;
    return value_u64(call, &number, "%s", key) == NVML_OK ? number : otherwise;
}

nvml_status copy_text(const char *text, char *out, uint32_t size) {
    if (text == NULL)
        return NVML_NOT_SUPPORTED;
    if (out == NULL)
        return NVML_INVALID_ARGUMENT;
    if (strlen(text) >= size)
        return NVML_INSUFFICIENT_SIZE;
    strcpy(out, text);
    return NVML_OK;
}

nvml_status answer_u32(const char *function, nvml_device device, const char *key, uint32_t *out) {
    struct call call;
    nvml_status status = call_begin(&call, function, device, ON_GPU);
    if (status == NVML_OK)
        status = out != NULL ? value_u32(&call, out, "%s", key) : NVML_INVALID_ARGUMENT;
    return call_end(&call, status);
}

nvml_status answer_u64(const char *function, nvml_device device, const char *key, uint64_t *out) {
    struct call call;
    nvml_status status = call_begin(&call, function, device, ON_GPU);
    if (status == NVML_OK)
        status = out != NULL ? value_u64(&call, out, "%s", key) : NVML_INVALID_ARGUMENT;
    return call_end(&call, status);
}

nvml_status answer_text(const char *function, nvml_device device, const char *key, char *out, uint32_t size) {
    struct call call;
    nvml_status status = call_begin(&call, function, device, ON_GPU);
    if (status == NVML_OK)
        status = copy_text(scenario_gpu(call.scenario, call.gpu, "%s", key), out, size);
    return call_end(&call, status);
}
