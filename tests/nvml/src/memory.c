/* Memory and who uses it. */
#include "call.h"
#include "values.h"

#include <stdlib.h>

struct usage {
    uint64_t total, reserved, used, free;
};

/* Used and reserved are 0 unless told; free is what they leave. */
static nvml_status read_usage(const struct call *call, struct usage *usage) {
    nvml_status status;
    usage->reserved = 0;
    if (call->mig != NOT_MIG) {
        status = value_u64(call, &usage->total, "mig.%u.memory.total", call->mig);
        if (value_u64(call, &usage->used, "mig.%u.memory.used", call->mig) != NVML_OK)
            usage->used = 0;
    } else {
        status = value_u64(call, &usage->total, "memory.total");
        usage->used = value_u64_or(call, 0, "memory.used");
        usage->reserved = value_u64_or(call, 0, "memory.reserved");
    }
    if (status != NVML_OK)
        return status;
    usage->free = usage->total > usage->used ? usage->total - usage->used : 0;
    usage->free = usage->free > usage->reserved ? usage->free - usage->reserved : 0;
    return NVML_OK;
}

/* The first version of the structure counts what the driver reserves as used. */
NVML_API nvml_status nvmlDeviceGetMemoryInfo(nvml_device device, struct memory_v1 *memory) {
    struct call call;
    struct usage usage;
    nvml_status status = call_begin(&call, __func__, device, ON_GPU_OR_MIG);
    if (status == NVML_OK)
        status = memory != NULL ? read_usage(&call, &usage) : NVML_INVALID_ARGUMENT;
    if (status == NVML_OK)
        *memory = (struct memory_v1){usage.total, usage.free, usage.used + usage.reserved};
    return call_end(&call, status);
}

NVML_API nvml_status nvmlDeviceGetMemoryInfo_v2(nvml_device device, struct memory_v2 *memory) {
    struct call call;
    struct usage usage;
    nvml_status status = call_begin(&call, __func__, device, ON_GPU_OR_MIG);
    if (status == NVML_OK && memory == NULL)
        status = NVML_INVALID_ARGUMENT;
    if (status == NVML_OK && memory->version != STRUCT_VERSION(*memory, 2))
        status = NVML_VERSION_MISMATCH;
    if (status == NVML_OK)
        status = read_usage(&call, &usage);
    if (status == NVML_OK)
        *memory = (struct memory_v2){memory->version, usage.total, usage.reserved, usage.free, usage.used};
    return call_end(&call, status);
}

NVML_API nvml_status nvmlDeviceGetBAR1MemoryInfo(nvml_device device, struct bar1_memory *memory) {
    struct call call;
    nvml_status status = call_begin(&call, __func__, device, ON_GPU);
    if (status == NVML_OK)
        status = memory != NULL ? value_u64(&call, &memory->total, "bar1.total") : NVML_INVALID_ARGUMENT;
    if (status == NVML_OK) {
        memory->used = value_u64_or(&call, 0, "bar1.used");
        memory->free = memory->total > memory->used ? memory->total - memory->used : 0;
    }
    return call_end(&call, status);
}

/* Processes: counted by a first walk over the scenario, filled by a second. */
struct process_list {
    const struct call *call;
    struct process_info *out; /* NULL while counting */
    uint32_t count;
    uint32_t gpu_instance, compute_instance; /* of the MIG device that is asked for */
};

static bool visit_process(void *context, uint32_t label, const char *value) {
    (void)label;
    struct process_list *list = context;
    struct process_info process;
    if (!parse_process(value, &process))
        return true;
    if (list->call->mig != NOT_MIG && (process.gpu_instance != list->gpu_instance ||
                                       process.compute_instance != list->compute_instance))
        return true;
    if (list->out != NULL)
        list->out[list->count] = process;
    list->count++;
    return true;
}

static void list_processes(struct process_list *list, const char *prefix, struct process_info *out) {
    list->out = out;
    list->count = 0;
    scenario_each(list->call->scenario, list->call->gpu, prefix, "", visit_process, list);
}

static nvml_status processes(const char *function, nvml_device device, const char *prefix, uint32_t *count,
                             struct process_info *out) {
    struct call call;
    nvml_status status = call_begin(&call, function, device, ON_GPU_OR_MIG);
    if (status == NVML_OK && count == NULL)
        status = NVML_INVALID_ARGUMENT;
    if (status != NVML_OK)
        return call_end(&call, status);
    struct process_list list = {.call = &call};
    if (call.mig != NOT_MIG) {
        value_u32(&call, &list.gpu_instance, "mig.%u.gi", call.mig);
        list.compute_instance = mig_compute_instance(&call);
    }
    list_processes(&list, prefix, NULL);
    if (list.count > *count)
        status = NVML_INSUFFICIENT_SIZE;
    else if (list.count > 0 && out == NULL)
        status = NVML_INVALID_ARGUMENT;
    else
        list_processes(&list, prefix, out);
    *count = list.count;
    return call_end(&call, status);
}

NVML_API nvml_status nvmlDeviceGetComputeRunningProcesses_v2(nvml_device device, uint32_t *n, struct process_info *out) {
    return processes(__func__, device, "process.", n, out);
}

NVML_API nvml_status nvmlDeviceGetComputeRunningProcesses_v3(nvml_device device, uint32_t *n, struct process_info *out) {
    return processes(__func__, device, "process.", n, out);
}

NVML_API nvml_status nvmlDeviceGetGraphicsRunningProcesses_v2(nvml_device device, uint32_t *n, struct process_info *out) {
    return processes(__func__, device, "process.graphics.", n, out);
}

NVML_API nvml_status nvmlDeviceGetGraphicsRunningProcesses_v3(nvml_device device, uint32_t *n, struct process_info *out) {
    return processes(__func__, device, "process.graphics.", n, out);
}

NVML_API nvml_status nvmlDeviceGetMPSComputeRunningProcesses_v2(nvml_device device, uint32_t *n,
                                                                struct process_info *out) {
    return processes(__func__, device, "process.mps.", n, out);
}

NVML_API nvml_status nvmlDeviceGetMPSComputeRunningProcesses_v3(nvml_device device, uint32_t *n,
                                                                struct process_info *out) {
    return processes(__func__, device, "process.mps.", n, out);
}

NVML_API nvml_status nvmlDeviceGetAccountingMode(nvml_device device, unsigned int *mode) {
    return answer_u32(__func__, device, "accounting.mode", mode);
}

struct pid_list {
    uint32_t *out; /* NULL while counting */
    uint32_t count;
};

static bool visit_pid(void *context, uint32_t pid, const char *value) {
    (void)value;
    struct pid_list *list = context;
    if (list->out != NULL)
        list->out[list->count] = pid;
    list->count++;
    return true;
}

static uint32_t list_pids(const struct call *call, uint32_t *out) {
    struct pid_list list = {out, 0};
    scenario_each(call->scenario, call->gpu, "accounting.pid.", "", visit_pid, &list);
    return list.count;
}

/* 4000 records, as real drivers have, or as many as the scenario tells of. */
NVML_API nvml_status nvmlDeviceGetAccountingBufferSize(nvml_device device, unsigned int *size) {
    struct call call;
    uint32_t mode;
    nvml_status status = call_begin(&call, __func__, device, ON_GPU);
    if (status == NVML_OK)
        status = size != NULL ? value_u32(&call, &mode, "accounting.mode") : NVML_INVALID_ARGUMENT;
    if (status == NVML_OK) {
        uint32_t told = list_pids(&call, NULL), usual = value_u32_or(&call, 4000, "accounting.buffer_size");
        *size = told > usual ? told : usual;
    }
    return call_end(&call, status);
}

NVML_API nvml_status nvmlDeviceGetAccountingPids(nvml_device device, unsigned int *count, unsigned int *pids) {
    struct call call;
    uint32_t mode;
    nvml_status status = call_begin(&call, __func__, device, ON_GPU);
    if (status == NVML_OK)
        status = count != NULL ? value_u32(&call, &mode, "accounting.mode") : NVML_INVALID_ARGUMENT;
    if (status == NVML_OK) {
        uint32_t told = list_pids(&call, NULL);
        if (told > *count)
            status = NVML_INSUFFICIENT_SIZE;
        else if (told > 0 && pids == NULL)
            status = NVML_INVALID_ARGUMENT;
        else
            list_pids(&call, pids);
        *count = told;
    }
    return call_end(&call, status);
}

NVML_API nvml_status nvmlDeviceGetAccountingStats(nvml_device device, unsigned int pid, struct accounting_stats *stats) {
    struct call call;
    uint32_t mode;
    nvml_status status = call_begin(&call, __func__, device, ON_GPU);
    if (status == NVML_OK)
        status = stats != NULL ? value_u32(&call, &mode, "accounting.mode") : NVML_INVALID_ARGUMENT;
    if (status == NVML_OK) {
        const char *text = scenario_gpu(call.scenario, call.gpu, "accounting.pid.%u", pid);
        status = text != NULL && parse_accounting(text, stats) ? NVML_OK : NVML_NOT_FOUND;
    }
    return call_end(&call, status);
}

/* Samples newer than a time: counted by a first walk over the scenario, filled by a second. */
struct sample_list {
    uint64_t since_us;
    struct process_utilization *out; /* NULL while counting */
    uint32_t count;
};

static bool visit_sample(void *context, uint32_t label, const char *value) {
    (void)label;
    struct sample_list *list = context;
    struct process_utilization sample;
    if (!parse_utilization(value, &sample) || sample.timestamp_us <= list->since_us)
        return true;
    if (list->out != NULL)
        list->out[list->count] = sample;
    list->count++;
    return true;
}

static uint32_t list_samples(const struct call *call, uint64_t since_us, struct process_utilization *out) {
    struct sample_list list = {since_us, out, 0};
    scenario_each(call->scenario, call->gpu, "utilization.", "", visit_sample, &list);
    return list.count;
}

/* A GPU without one sample is NotSupported; one without a newer sample than asked for, NotFound. */
NVML_API nvml_status nvmlDeviceGetProcessUtilization(nvml_device device, struct process_utilization *samples,
                                                     unsigned int *count, unsigned long long since_us) {
    struct call call;
    nvml_status status = call_begin(&call, __func__, device, ON_GPU);
    if (status == NVML_OK && count == NULL)
        status = NVML_INVALID_ARGUMENT;
    if (status == NVML_OK && list_samples(&call, 0, NULL) == 0)
        status = NVML_NOT_SUPPORTED;
    if (status == NVML_OK) {
        uint32_t newer = list_samples(&call, since_us, NULL);
        if (newer == 0)
            status = NVML_NOT_FOUND;
        else if (samples == NULL || newer > *count)
            status = NVML_INSUFFICIENT_SIZE;
        else
            list_samples(&call, since_us, samples);
        *count = newer;
    }
    return call_end(&call, status);
}
