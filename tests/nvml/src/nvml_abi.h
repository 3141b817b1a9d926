/*
 * The part of NVML's binary interface that the simulator serves, in our own words: the layouts that pynvml
 * (nvidia-ml-py 12.570 to 13.615) and Slurm's gpu_nvml plugin pass, and the numbers they give meaning to. Nothing here
 * comes from nvml.h.
 */
#ifndef PREFLIGHT_NVML_ABI_H
#define PREFLIGHT_NVML_ABI_H

#include <stdint.h>

#define NVML_API __attribute__((visibility("default")))

typedef unsigned int nvml_status;
typedef struct opaque_device *nvml_device;
typedef struct event_set *nvml_event_set;

enum {
    NVML_OK = 0,
    NVML_UNINITIALIZED = 1,
    NVML_INVALID_ARGUMENT = 2,
    NVML_NOT_SUPPORTED = 3,
    NVML_NO_PERMISSION = 4,
    NVML_NOT_FOUND = 6,
    NVML_INSUFFICIENT_SIZE = 7,
    NVML_DRIVER_NOT_LOADED = 9,
    NVML_TIMEOUT = 10,
    NVML_CORRUPTED_INFOROM = 14,
    NVML_GPU_IS_LOST = 15,
    NVML_MEMORY = 20,
    NVML_VERSION_MISMATCH = 25,
    NVML_UNKNOWN = 999,
};

/* What NVML writes where a number is not known. */
#define NOT_AVAILABLE_U64 UINT64_MAX
#define NO_INSTANCE UINT32_MAX

/* A versioned structure carries its size and its version in its first word. */
#define STRUCT_VERSION(type, number) ((uint32_t)(sizeof(type) | ((uint32_t)(number) << 24)))

struct pci_info {
    char bus_id_legacy[16];
    uint32_t domain, bus, device;
    uint32_t device_id, subsystem_id;
    char bus_id[32];
};

struct memory_v1 {
    uint64_t total, free, used;
};

struct memory_v2 {
    uint32_t version;
    uint64_t total, reserved, free, used;
};

struct bar1_memory {
    uint64_t total, free, used;
};

struct process_info {
    uint32_t pid;
    uint64_t used_memory;
    uint32_t gpu_instance, compute_instance;
};

union field_number {
    double f64;
    uint32_t u32;
    uint64_t u64;
    int64_t i64;
    int32_t i32;
    uint16_t u16;
};

struct field_value {
    uint32_t field, scope;
    int64_t timestamp_us, latency_us;
    uint32_t type;
    nvml_status status;
    union field_number value;
};

enum field_type { FIELD_F64, FIELD_U32, FIELD_ULONG, FIELD_U64, FIELD_I64, FIELD_I32, FIELD_U16 };

struct device_attributes {
    uint32_t multiprocessors, copy_engines, decoders, encoders, jpeg, ofa, gpu_slices, compute_slices;
    uint64_t memory_mib;
};

struct row_histogram {
    uint32_t max, high, partial, low, none;
};

struct repair_status {
    uint32_t version, channel_pending, tpc_pending;
};

struct sram_status {
    uint32_t version;
    uint64_t aggregate_parity, aggregate_secded, aggregate_corrected;
    uint64_t volatile_parity, volatile_secded, volatile_corrected;
    uint64_t bucket_l2, bucket_sm, bucket_pcie, bucket_mcu, bucket_other;
    uint32_t threshold_exceeded;
};

struct sram_entry {
    uint32_t unit, location, sublocation, extlocation, address, parity, count;
};

struct sram_unique {
    uint32_t version, count;
    struct sram_entry *entries;
};

struct temperature_v1 {
    uint32_t version, sensor;
    int32_t temperature;
};

struct margin_temperature {
    uint32_t version;
    int32_t margin;
};

struct fabric_info {
    uint8_t cluster_uuid[16];
    nvml_status status;
    uint32_t clique, state;
};

struct fabric_info_v2 {
    uint32_t version;
    struct fabric_info base;
    uint32_t health_mask;
};

struct fabric_info_v3 {
    uint32_t version;
    struct fabric_info base;
    uint32_t health_mask;
    uint8_t health_summary;
};

struct accounting_stats {
    uint32_t gpu_utilization, memory_utilization;
    uint64_t max_memory, time_ms, start_us;
    uint32_t running, reserved[5];
};

struct conf_compute_state {
    uint32_t environment, feature, devtools;
};

struct platform_info {
    uint32_t version;
    uint8_t ib_guid[16], chassis[16];
    uint8_t slot, tray, host, peer, module;
};

struct process_utilization {
    uint32_t pid;
    uint64_t timestamp_us;
    uint32_t sm, memory, encoder, decoder; /* per cent */
};

struct event_data {
    nvml_device device;
    uint64_t type, data;
    uint32_t gpu_instance, compute_instance;
};

_Static_assert(sizeof(struct pci_info) == 68, "pci_info");
_Static_assert(sizeof(struct memory_v2) == 40, "memory_v2");
_Static_assert(sizeof(struct process_info) == 24, "process_info");
_Static_assert(sizeof(struct field_value) == 40, "field_value");
_Static_assert(sizeof(struct device_attributes) == 40, "device_attributes");
_Static_assert(sizeof(struct sram_status) == 104, "sram_status");
_Static_assert(sizeof(struct sram_entry) == 28, "sram_entry");
_Static_assert(sizeof(struct sram_unique) == 16, "sram_unique");
_Static_assert(sizeof(struct fabric_info) == 28, "fabric_info");
_Static_assert(sizeof(struct fabric_info_v2) == 36, "fabric_info_v2");
_Static_assert(sizeof(struct fabric_info_v3) == 40, "fabric_info_v3");
_Static_assert(sizeof(struct accounting_stats) == 56, "accounting_stats");
_Static_assert(sizeof(struct platform_info) == 44, "platform_info");
_Static_assert(sizeof(struct process_utilization) == 32, "process_utilization");
_Static_assert(sizeof(struct event_data) == 32, "event_data");

#endif
