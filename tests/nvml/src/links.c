/* PCIe, NVLink and the NVLink fabric. */
#include "identity.h"

#include <stddef.h>
#include <string.h>

NVML_API nvml_status nvmlDeviceGetCurrPcieLinkGeneration(nvml_device device, unsigned int *generation) {
    return answer_u32(__func__, device, "pcie.gen.current", generation);
}

NVML_API nvml_status nvmlDeviceGetMaxPcieLinkGeneration(nvml_device device, unsigned int *generation) {
    return answer_u32(__func__, device, "pcie.gen.max", generation);
}

NVML_API nvml_status nvmlDeviceGetGpuMaxPcieLinkGeneration(nvml_device device, unsigned int *generation) {
    return answer_u32(__func__, device, "pcie.gen.gpu_max", generation);
}

NVML_API nvml_status nvmlDeviceGetCurrPcieLinkWidth(nvml_device device, unsigned int *width) {
    return answer_u32(__func__, device, "pcie.width.current", width);
}

NVML_API nvml_status nvmlDeviceGetMaxPcieLinkWidth(nvml_device device, unsigned int *width) {
    return answer_u32(__func__, device, "pcie.width.max", width);
}

NVML_API nvml_status nvmlDeviceGetPcieReplayCounter(nvml_device device, unsigned int *replays) {
    return answer_u32(__func__, device, "pcie.replay", replays);
}

/* Whether the link may be spoken of: past nvlink.links it is InvalidArgument. */
static nvml_status link_counted(const struct call *call, unsigned int link, bool *counted) {
    uint32_t links;
    *counted = value_u32(call, &links, "nvlink.links") == NVML_OK;
    return *counted && link >= links ? NVML_INVALID_ARGUMENT : NVML_OK;
}

/*
 * nvlink.L.KEY of the link, else nvlink.KEY of all links. Past nvlink.links it is InvalidArgument; without that key
 * the links that are spoken of exist.
 */
static nvml_status link_value(const struct call *call, unsigned int link, const char *key, uint64_t *out) {
    bool counted;
    nvml_status status = link_counted(call, link, &counted);
    if (status != NVML_OK)
        return status;
    if (value_u64(call, out, "nvlink.%u.%s", link, key) == NVML_OK)
        return NVML_OK;
    return counted ? value_u64(call, out, "nvlink.%s", key) : NVML_NOT_SUPPORTED;
}

static nvml_status link_u32(const char *function, nvml_device device, unsigned int link, const char *key,
                            unsigned int *out) {
    struct call call;
    uint64_t wide = 0;
    nvml_status status = call_begin(&call, function, device, ON_GPU);
    if (status == NVML_OK)
        status = out != NULL ? link_value(&call, link, key, &wide) : NVML_INVALID_ARGUMENT;
    /* A link that is counted and not spoken of is up. */
    if (status == NVML_NOT_SUPPORTED && strcmp(key, "state") == 0 && call_has(&call, "nvlink.links")) {
        wide = 1;
        status = NVML_OK;
    }
    if (status == NVML_OK)
        *out = (unsigned int)wide;
    return call_end(&call, status);
}

NVML_API nvml_status nvmlDeviceGetNvLinkState(nvml_device device, unsigned int link, unsigned int *active) {
    return link_u32(__func__, device, link, "state", active);
}

NVML_API nvml_status nvmlDeviceGetNvLinkVersion(nvml_device device, unsigned int link, unsigned int *version) {
    return link_u32(__func__, device, link, "version", version);
}

NVML_API nvml_status nvmlDeviceGetNvLinkRemoteDeviceType(nvml_device device, unsigned int link, unsigned int *type) {
    return link_u32(__func__, device, link, "remote", type);
}

/* What is at the link's other end, by its PCI address. */
NVML_API nvml_status nvmlDeviceGetNvLinkRemotePciInfo_v2(nvml_device device, unsigned int link, struct pci_info *info) {
    struct call call;
    struct bus_id peer;
    bool counted;
    nvml_status status = call_begin(&call, __func__, device, ON_GPU);
    if (status == NVML_OK)
        status = info != NULL ? link_counted(&call, link, &counted) : NVML_INVALID_ARGUMENT;
    if (status == NVML_OK) {
        const char *text = scenario_gpu(call.scenario, call.gpu, "nvlink.%u.peer", link);
        if (text == NULL && counted)
            text = scenario_gpu(call.scenario, call.gpu, "nvlink.peer");
        status = text != NULL && parse_bus_id(text, &peer) ? NVML_OK : NVML_NOT_SUPPORTED;
    }
    if (status == NVML_OK)
        identity_fill_pci(peer, info);
    return call_end(&call, status);
}

NVML_API nvml_status nvmlDeviceGetNvLinkErrorCounter(nvml_device device, unsigned int link, unsigned int counter,
                                                     uint64_t *count) {
    static const char *const keys[] = {"errors.replay", "errors.recovery", "errors.crc_flit", "errors.crc_data",
                                       "errors.ecc"};
    struct call call;
    nvml_status status = call_begin(&call, __func__, device, ON_GPU);
    if (status == NVML_OK && (counter > 4 || count == NULL))
        status = NVML_INVALID_ARGUMENT;
    if (status == NVML_OK)
        status = link_value(&call, link, keys[counter], count);
    return call_end(&call, status);
}

static nvml_status read_fabric(const struct call *call, struct fabric_info *out) {
    struct fabric_info info = {.cluster_uuid = {0}};
    nvml_status status = value_u32(call, &info.state, "fabric.state");
    if (status != NVML_OK)
        return status;
    const char *uuid = scenario_gpu(call->scenario, call->gpu, "fabric.uuid");
    if (uuid != NULL)
        parse_hex16(uuid, info.cluster_uuid);
    info.status = value_u32_or(call, NVML_OK, "fabric.status");
    info.clique = value_u32_or(call, 0, "fabric.clique");
    *out = info;
    return NVML_OK;
}

NVML_API nvml_status nvmlDeviceGetGpuFabricInfo(nvml_device device, struct fabric_info *out) {
    struct call call;
    nvml_status status = call_begin(&call, __func__, device, ON_GPU);
    if (status == NVML_OK)
        status = out != NULL ? read_fabric(&call, out) : NVML_INVALID_ARGUMENT;
    return call_end(&call, status);
}

/* Version 3 is version 2 with the summary behind it. */
NVML_API nvml_status nvmlDeviceGetGpuFabricInfoV(nvml_device device, struct fabric_info_v3 *out) {
    struct call call;
    nvml_status status = call_begin(&call, __func__, device, ON_GPU);
    if (status == NVML_OK && out == NULL)
        status = NVML_INVALID_ARGUMENT;
    if (status == NVML_OK && out->version != STRUCT_VERSION(struct fabric_info_v2, 2) &&
        out->version != STRUCT_VERSION(*out, 3))
        status = NVML_VERSION_MISMATCH;
    if (status == NVML_OK)
        status = read_fabric(&call, &out->base);
    if (status == NVML_OK) {
        out->health_mask = value_u32_or(&call, 0, "fabric.health_mask");
        if (out->version == STRUCT_VERSION(*out, 3))
            out->health_summary = (uint8_t)value_u32_or(&call, 0, "fabric.health_summary");
    }
    return call_end(&call, status);
}

_Static_assert(offsetof(struct fabric_info_v3, health_mask) == offsetof(struct fabric_info_v2, health_mask), "fabric");
