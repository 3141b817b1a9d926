/* nvmlDeviceGetFieldValues: many numbers in one call, each with a return code of its own. */
#include "call.h"
#include "values.h"

#include <stdio.h>
#include <time.h>

static int64_t now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* field.F.S for the scope, else field.F, in one scope of the scenario. */
static const char *told_in(const struct scenario *scenario, int64_t where, const struct field_value *value) {
    char name[64];
    snprintf(name, sizeof name, "field.%u.%u", value->field, value->scope);
    const char *told = scenario_exact(scenario, where, name);
    if (told != NULL)
        return told;
    snprintf(name, sizeof name, "field.%u", value->field);
    return scenario_exact(scenario, where, name);
}

/* gpu.N before gpu.* before the driver's own. */
static void fill(const struct call *call, struct field_value *value) {
    const char *told = told_in(call->scenario, call->gpu, value);
    if (told == NULL)
        told = told_in(call->scenario, SCOPE_EVERY_GPU, value);
    if (told == NULL)
        told = told_in(call->scenario, SCOPE_DRIVER, value);
    value->timestamp_us = now_us();
    value->latency_us = 0;
    if (told == NULL || *told == '\0' || !parse_field(told, value)) {
        value->status = NVML_NOT_SUPPORTED;
        value->type = FIELD_U32;
        value->value.u64 = 0;
    }
    if (value->type == UINT32_MAX) /* ret:code carries no value */
        value->type = FIELD_U32;
}

NVML_API nvml_status nvmlDeviceGetFieldValues(nvml_device device, int count, struct field_value *values) {
    struct call call;
    nvml_status status = call_begin(&call, __func__, device, ON_GPU);
    if (status == NVML_OK && (count < 1 || values == NULL))
        status = NVML_INVALID_ARGUMENT;
    for (int i = 0; status == NVML_OK && i < count; i++)
        fill(&call, &values[i]);
    return call_end(&call, status);
}
