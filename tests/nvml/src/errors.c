/* Memory errors and what the GPU did about them. */
#include "call.h"
#include "values.h"

static const char *const ERROR_TYPES[] = {"corrected", "uncorrected"};
static const char *const COUNTERS[] = {"volatile", "aggregate"};
static const char *const LOCATIONS[] = {"l1",      "l2",          "dram", "register_file",
                                        "texture", "texture_shm", "cbu",  "sram"};

NVML_API nvml_status nvmlDeviceGetEccMode(nvml_device device, unsigned int *now, unsigned int *pending) {
    struct call call;
    nvml_status status = call_begin(&call, __func__, device, ON_GPU);
    if (status == NVML_OK)
        status = now != NULL && pending != NULL ? value_u32(&call, now, "ecc.mode") : NVML_INVALID_ARGUMENT;
    if (status == NVML_OK)
        *pending = value_u32_or(&call, *now, "ecc.mode.pending");
    return call_end(&call, status);
}

NVML_API nvml_status nvmlDeviceGetTotalEccErrors(nvml_device device, unsigned int type, unsigned int counter,
                                                 uint64_t *count) {
    struct call call;
    nvml_status status = call_begin(&call, __func__, device, ON_GPU);
    if (status == NVML_OK && (type > 1 || counter > 1 || count == NULL))
        status = NVML_INVALID_ARGUMENT;
    if (status == NVML_OK)
        status = value_u64(&call, count, "ecc.%s.%s", ERROR_TYPES[type], COUNTERS[counter]);
    return call_end(&call, status);
}

NVML_API nvml_status nvmlDeviceGetMemoryErrorCounter(nvml_device device, unsigned int type, unsigned int counter,
                                                     unsigned int location, uint64_t *count) {
    struct call call;
    nvml_status status = call_begin(&call, __func__, device, ON_GPU);
    if (status == NVML_OK && (type > 1 || counter > 1 || location > 7 || count == NULL))
        status = NVML_INVALID_ARGUMENT;
    if (status == NVML_OK)
        status = value_u64(&call, count, "ecc.%s.%s.%s", ERROR_TYPES[type], COUNTERS[counter], LOCATIONS[location]);
    return call_end(&call, status);
}

static void fill_sram(const struct call *call, struct sram_status *out) {
    out->aggregate_parity = value_u64_or(call, 0, "sram.aggregate.parity");
    out->aggregate_secded = value_u64_or(call, 0, "sram.aggregate.secded");
    out->aggregate_corrected = value_u64_or(call, 0, "sram.aggregate.corrected");
    out->volatile_parity = value_u64_or(call, 0, "sram.volatile.parity");
    out->volatile_secded = value_u64_or(call, 0, "sram.volatile.secded");
    out->volatile_corrected = value_u64_or(call, 0, "sram.volatile.corrected");
    out->bucket_l2 = value_u64_or(call, 0, "sram.bucket.l2");
    out->bucket_sm = value_u64_or(call, 0, "sram.bucket.sm");
    out->bucket_pcie = value_u64_or(call, 0, "sram.bucket.pcie");
    out->bucket_mcu = value_u64_or(call, 0, "sram.bucket.mcu");
    out->bucket_other = value_u64_or(call, 0, "sram.bucket.other");
}

NVML_API nvml_status nvmlDeviceGetSramEccErrorStatus(nvml_device device, struct sram_status *out) {
    struct call call;
    nvml_status status = call_begin(&call, __func__, device, ON_GPU);
    if (status == NVML_OK && out == NULL)
        status = NVML_INVALID_ARGUMENT;
    if (status == NVML_OK && out->version != STRUCT_VERSION(*out, 1))
        status = NVML_VERSION_MISMATCH;
    if (status == NVML_OK)
        status = value_u32(&call, &out->threshold_exceeded, "sram.threshold_exceeded");
    if (status == NVML_OK)
        fill_sram(&call, out);
    return call_end(&call, status);
}

/* The number of entries, then, where there is room for all, the entries: sram.unique.K of each, else one error. */
NVML_API nvml_status nvmlDeviceGetSramUniqueUncorrectedEccErrorCounts(nvml_device device, struct sram_unique *out) {
    struct call call;
    uint32_t there = 0;
    nvml_status status = call_begin(&call, __func__, device, ON_GPU);
    if (status == NVML_OK && out == NULL)
        status = NVML_INVALID_ARGUMENT;
    if (status == NVML_OK && out->version != STRUCT_VERSION(*out, 1))
        status = NVML_VERSION_MISMATCH;
    if (status == NVML_OK)
        status = value_u32(&call, &there, "sram.unique");
    if (status == NVML_OK) {
        if (there > out->count || (there > 0 && out->entries == NULL))
            status = NVML_INSUFFICIENT_SIZE;
        for (uint32_t i = 0; status == NVML_OK && i < there; i++) {
            const char *text = scenario_gpu(call.scenario, call.gpu, "sram.unique.%u", i);
            out->entries[i] = (struct sram_entry){.address = i, .count = 1};
            if (text != NULL && *text != '\0')
                parse_sram(text, &out->entries[i]);
        }
        out->count = there;
    }
    return call_end(&call, status);
}

/* Addresses are made up: the scenario tells how many. */
NVML_API nvml_status nvmlDeviceGetRetiredPages(nvml_device device, unsigned int cause, unsigned int *count,
                                               uint64_t *addresses) {
    struct call call;
    uint32_t told;
    nvml_status status = call_begin(&call, __func__, device, ON_GPU);
    if (status == NVML_OK && (cause > 1 || count == NULL))
        status = NVML_INVALID_ARGUMENT;
    if (status == NVML_OK)
        status = value_u32(&call, &told, "retired.%s", cause == 0 ? "sbe" : "dbe");
    if (status == NVML_OK) {
        if (told > *count)
            status = NVML_INSUFFICIENT_SIZE;
        else if (told > 0 && addresses == NULL)
            status = NVML_INVALID_ARGUMENT;
        for (uint32_t i = 0; status == NVML_OK && i < told; i++)
            addresses[i] = (uint64_t)(i + 1) << 16 | (uint64_t)cause << 12;
        *count = told;
    }
    return call_end(&call, status);
}

NVML_API nvml_status nvmlDeviceGetRetiredPagesPendingStatus(nvml_device device, unsigned int *pending) {
    return answer_u32(__func__, device, "retired.pending", pending);
}

/* Whether any of the keys stands for this GPU: then the others count as 0. */
static bool any_key(const struct call *call, const char *const *keys, int count) {
    for (int i = 0; i < count; i++)
        if (call_has(call, keys[i]))
            return true;
    return false;
}

NVML_API nvml_status nvmlDeviceGetRemappedRows(nvml_device device, unsigned int *correctable,
                                               unsigned int *uncorrectable, unsigned int *pending,
                                               unsigned int *failure) {
    static const char *const keys[] = {"remap.correctable", "remap.uncorrectable", "remap.pending", "remap.failure"};
    struct call call;
    nvml_status status = call_begin(&call, __func__, device, ON_GPU);
    if (status == NVML_OK && (correctable == NULL || uncorrectable == NULL || pending == NULL || failure == NULL))
        status = NVML_INVALID_ARGUMENT;
    if (status == NVML_OK && !any_key(&call, keys, 4))
        status = NVML_NOT_SUPPORTED;
    if (status == NVML_OK) {
        *correctable = value_u32_or(&call, 0, keys[0]);
        *uncorrectable = value_u32_or(&call, 0, keys[1]);
        *pending = value_u32_or(&call, 0, keys[2]);
        *failure = value_u32_or(&call, 0, keys[3]);
    }
    return call_end(&call, status);
}

NVML_API nvml_status nvmlDeviceGetRowRemapperHistogram(nvml_device device, struct row_histogram *out) {
    static const char *const keys[] = {"remap.histogram.max", "remap.histogram.high", "remap.histogram.partial",
                                       "remap.histogram.low", "remap.histogram.none"};
    struct call call;
    nvml_status status = call_begin(&call, __func__, device, ON_GPU);
    if (status == NVML_OK && out == NULL)
        status = NVML_INVALID_ARGUMENT;
    if (status == NVML_OK && !any_key(&call, keys, 5))
        status = NVML_NOT_SUPPORTED;
    if (status == NVML_OK)
        *out = (struct row_histogram){value_u32_or(&call, 0, keys[0]), value_u32_or(&call, 0, keys[1]),
                                      value_u32_or(&call, 0, keys[2]), value_u32_or(&call, 0, keys[3]),
                                      value_u32_or(&call, 0, keys[4])};
    return call_end(&call, status);
}

NVML_API nvml_status nvmlDeviceGetRepairStatus(nvml_device device, struct repair_status *out) {
    static const char *const keys[] = {"repair.channel", "repair.tpc"};
    struct call call;
    nvml_status status = call_begin(&call, __func__, device, ON_GPU);
    if (status == NVML_OK && out == NULL)
        status = NVML_INVALID_ARGUMENT;
    if (status == NVML_OK && out->version != STRUCT_VERSION(*out, 1))
        status = NVML_VERSION_MISMATCH;
    if (status == NVML_OK && !any_key(&call, keys, 2))
        status = NVML_NOT_SUPPORTED;
    if (status == NVML_OK) {
        out->channel_pending = value_u32_or(&call, 0, keys[0]);
        out->tpc_pending = value_u32_or(&call, 0, keys[1]);
    }
    return call_end(&call, status);
}

/*
 * The driver's structure is the flag alone; pynvml 13.615 passes a version word before it, and so reads 0 for ever.
 * The simulator writes where the driver writes: no test may come to trust the flag.
 */
NVML_API nvml_status nvmlDeviceGetUnrepairableMemoryFlag_v1(nvml_device device, unsigned int *flag) {
    return answer_u32(__func__, device, "unrepairable", flag);
}
