/* Which GPU it is: handles, names, numbers, addresses. */
#include "identity.h"

#include <stdio.h>
#include <string.h>

/* FNV-1a. */
static uint64_t hash(uint64_t state, const void *data, size_t size) {
    const unsigned char *bytes = data;
    for (size_t i = 0; i < size; i++)
        state = (state ^ bytes[i]) * UINT64_C(0x100000001b3);
    return state;
}

const char *identity_uuid(const struct call *call, char made[MADE_UUID_SIZE]) {
    const char *given = call->mig == NOT_MIG ? scenario_gpu(call->scenario, call->gpu, "uuid")
                                             : scenario_gpu(call->scenario, call->gpu, "mig.%u.uuid", call->mig);
    if (given != NULL)
        return given;
    const char *seed = scenario_driver(call->scenario, "seed");
    uint64_t a = hash(UINT64_C(0xcbf29ce484222325), seed != NULL ? seed : "", seed != NULL ? strlen(seed) : 0);
    a = hash(a, &call->gpu, sizeof call->gpu);
    a = hash(a, &call->mig, sizeof call->mig);
    uint64_t b = hash(a, "second half", 11);
    snprintf(made, MADE_UUID_SIZE, "%s-%08x-%04x-%04x-%04x-%012llx", call->mig == NOT_MIG ? "GPU" : "MIG",
             (unsigned)(a >> 32), (unsigned)(a >> 16 & 0xffff), (unsigned)(a & 0xffff), (unsigned)(b >> 48),
             (unsigned long long)(b & UINT64_C(0xffffffffffff)));
    return made;
}

/* The key bus_id, or buses from 01 up in index order, 255 to a domain. */
static struct bus_id bus_of(const struct call *call) {
    const char *given = scenario_gpu(call->scenario, call->gpu, "bus_id");
    struct bus_id bus;
    if (given != NULL && parse_bus_id(given, &bus))
        return bus;
    return (struct bus_id){call->gpu / 255, call->gpu % 255 + 1, 0};
}

static nvml_status handle_by_index(const char *function, unsigned int index, nvml_device *device) {
    struct call call;
    nvml_status status = call_begin_gpu(&call, function, index);
    if (status == NVML_OK && device == NULL)
        status = NVML_INVALID_ARGUMENT;
    if (status == NVML_OK)
        *device = device_handle(index, NOT_MIG);
    return call_end(&call, status);
}

NVML_API nvml_status nvmlDeviceGetHandleByIndex(unsigned int index, nvml_device *device) {
    return handle_by_index(__func__, index, device);
}

NVML_API nvml_status nvmlDeviceGetHandleByIndex_v2(unsigned int index, nvml_device *device) {
    return handle_by_index(__func__, index, device);
}

typedef bool (*finder)(struct call *call, const void *wanted);

static bool has_bus(struct call *call, const void *wanted) {
    const struct bus_id *want = wanted, bus = bus_of(call);
    return bus.domain == want->domain && bus.bus == want->bus && bus.device == want->device;
}

struct mig_search {
    struct call call;
    const char *uuid;
    uint32_t found;
};

/* Labels of mig.K.gi arrive as their name's rest; the search goes on until a UUID fits. */
static bool mig_has_uuid(void *context, uint32_t mig, const char *value) {
    (void)value;
    struct mig_search *search = context;
    char made[MADE_UUID_SIZE];
    search->call.mig = mig;
    if (!mig_exists(search->call.scenario, search->call.gpu, mig) ||
        strcmp(identity_uuid(&search->call, made), search->uuid) != 0)
        return true;
    search->found = mig;
    return false;
}

static bool has_uuid(struct call *call, const void *wanted) {
    char made[MADE_UUID_SIZE];
    if (strcmp(identity_uuid(call, made), wanted) == 0)
        return true;
    struct mig_search search = {*call, wanted, NOT_MIG};
    if (!scenario_each(call->scenario, call->gpu, "mig.", ".gi", mig_has_uuid, &search))
        call->mig = search.found;
    return search.found != NOT_MIG;
}

/* Looks the GPU up, then answers as for its index. */
static nvml_status handle_by_search(const char *function, finder fits, const void *wanted, nvml_device *device) {
    struct call call;
    /* The driver-wide told answer and delay are taken with the GPU's, so that they apply once. */
    nvml_status status = call_open(&call);
    if (status != NVML_OK || device == NULL)
        return call_end(&call, status != NVML_OK ? status : NVML_INVALID_ARGUMENT);
    uint32_t gpus = scenario_gpus(call.scenario);
    for (call.gpu = 0; call.gpu < gpus; call.gpu++) {
        call.mig = NOT_MIG;
        if (!fits(&call, wanted))
            continue;
        status = call_rehearse_gpu(&call, function);
        if (status == NVML_OK)
            *device = device_handle(call.gpu, call.mig);
        return call_end(&call, status);
    }
    status = call_rehearse(call.scenario, function);
    return call_end(&call, status != NVML_OK ? status : NVML_NOT_FOUND);
}

NVML_API nvml_status nvmlDeviceGetHandleByUUID(const char *uuid, nvml_device *device) {
    return uuid != NULL ? handle_by_search(__func__, has_uuid, uuid, device) : NVML_INVALID_ARGUMENT;
}

static nvml_status handle_by_bus(const char *function, const char *text, nvml_device *device) {
    struct bus_id bus;
    if (text == NULL || !parse_bus_id(text, &bus))
        return NVML_INVALID_ARGUMENT;
    return handle_by_search(function, has_bus, &bus, device);
}

NVML_API nvml_status nvmlDeviceGetHandleByPciBusId(const char *bus_id, nvml_device *device) {
    return handle_by_bus(__func__, bus_id, device);
}

NVML_API nvml_status nvmlDeviceGetHandleByPciBusId_v2(const char *bus_id, nvml_device *device) {
    return handle_by_bus(__func__, bus_id, device);
}

NVML_API nvml_status nvmlDeviceGetName(nvml_device device, char *name, unsigned int length) {
    struct call call;
    nvml_status status = call_begin(&call, __func__, device, ON_GPU_OR_MIG);
    if (status == NVML_OK) {
        const char *own = call.mig != NOT_MIG ? scenario_gpu(call.scenario, call.gpu, "mig.%u.name", call.mig) : NULL;
        status = copy_text(own != NULL ? own : scenario_gpu(call.scenario, call.gpu, "name"), name, length);
    }
    return call_end(&call, status);
}

NVML_API nvml_status nvmlDeviceGetUUID(nvml_device device, char *uuid, unsigned int length) {
    struct call call;
    char made[MADE_UUID_SIZE];
    nvml_status status = call_begin(&call, __func__, device, ON_GPU_OR_MIG);
    if (status == NVML_OK)
        status = copy_text(identity_uuid(&call, made), uuid, length);
    return call_end(&call, status);
}

NVML_API nvml_status nvmlDeviceGetSerial(nvml_device device, char *serial, unsigned int length) {
    return answer_text(__func__, device, "serial", serial, length);
}

NVML_API nvml_status nvmlDeviceGetBoardPartNumber(nvml_device device, char *number, unsigned int length) {
    return answer_text(__func__, device, "board_part_number", number, length);
}

NVML_API nvml_status nvmlDeviceGetModuleId(nvml_device device, unsigned int *module) {
    return answer_u32(__func__, device, "module_id", module);
}

NVML_API nvml_status nvmlDeviceGetMinorNumber(nvml_device device, unsigned int *minor) {
    struct call call;
    nvml_status status = call_begin(&call, __func__, device, ON_GPU);
    if (status == NVML_OK && minor == NULL)
        status = NVML_INVALID_ARGUMENT;
    if (status == NVML_OK)
        *minor = value_u32_or(&call, call.gpu, "minor");
    return call_end(&call, status);
}

NVML_API nvml_status nvmlDeviceGetIndex(nvml_device device, unsigned int *index) {
    struct call call;
    nvml_status status = call_begin(&call, __func__, device, ON_GPU_OR_MIG);
    if (status == NVML_OK && index == NULL)
        status = NVML_INVALID_ARGUMENT;
    if (status == NVML_OK)
        *index = call.mig != NOT_MIG ? call.mig : call.gpu;
    return call_end(&call, status);
}

void identity_fill_pci(struct bus_id bus, struct pci_info *info) {
    memset(info, 0, sizeof *info);
    info->domain = bus.domain;
    info->bus = bus.bus;
    info->device = bus.device;
    snprintf(info->bus_id, sizeof info->bus_id, "%08X:%02X:%02X.0", bus.domain, bus.bus, bus.device);
    snprintf(info->bus_id_legacy, sizeof info->bus_id_legacy, "%04X:%02X:%02X.0", bus.domain & 0xffff,
             bus.bus & 0xff, bus.device & 0x1f);
}

NVML_API nvml_status nvmlDeviceGetPciInfo_v3(nvml_device device, struct pci_info *info) {
    struct call call;
    nvml_status status = call_begin(&call, __func__, device, ON_GPU);
    if (status == NVML_OK && info == NULL)
        status = NVML_INVALID_ARGUMENT;
    if (status == NVML_OK) {
        struct bus_id bus = bus_of(&call);
        identity_fill_pci(bus, info);
        info->device_id = value_u32_or(&call, 0x10de, "pci.device_id"); /* NVIDIA's vendor number, no product */
        info->subsystem_id = value_u32_or(&call, 0, "pci.subsystem_id");
    }
    return call_end(&call, status);
}

static nvml_status capability(const struct call *call, uint32_t *major, uint32_t *minor) {
    const char *text = scenario_gpu(call->scenario, call->gpu, "compute_capability");
    return text != NULL && parse_version(text, major, minor) ? NVML_OK : NVML_NOT_SUPPORTED;
}

NVML_API nvml_status nvmlDeviceGetCudaComputeCapability(nvml_device device, int *major, int *minor) {
    struct call call;
    uint32_t high, low;
    nvml_status status = call_begin(&call, __func__, device, ON_GPU_OR_MIG);
    if (status == NVML_OK && (major == NULL || minor == NULL))
        status = NVML_INVALID_ARGUMENT;
    if (status == NVML_OK)
        status = capability(&call, &high, &low);
    if (status == NVML_OK) {
        *major = (int)high;
        *minor = (int)low;
    }
    return call_end(&call, status);
}

/* NVML's number for the architecture of a compute capability. */
static uint32_t architecture_of(uint32_t major, uint32_t minor) {
    switch (major) {
    case 3: return 2;                                   /* Kepler */
    case 5: return 3;                                   /* Maxwell */
    case 6: return 4;                                   /* Pascal */
    case 7: return minor >= 5 ? 6 : 5;                  /* Turing, Volta */
    case 8: return minor >= 9 ? 8 : 7;                  /* Ada, Ampere */
    case 9: return 9;                                   /* Hopper */
    case 10: case 11: case 12: return 10;               /* Blackwell */
    default: return UINT32_MAX;                         /* unknown */
    }
}

NVML_API nvml_status nvmlDeviceGetArchitecture(nvml_device device, unsigned int *architecture) {
    struct call call;
    uint32_t major, minor;
    nvml_status status = call_begin(&call, __func__, device, ON_GPU_OR_MIG);
    if (status == NVML_OK && architecture == NULL)
        status = NVML_INVALID_ARGUMENT;
    if (status == NVML_OK && value_u32(&call, architecture, "architecture") != NVML_OK) {
        status = capability(&call, &major, &minor);
        if (status == NVML_OK)
            *architecture = architecture_of(major, minor);
    }
    return call_end(&call, status);
}
