#include "keys.h"

#include "scenario.h"
#include "values.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

enum kind { TEXT, U32, U64, I32, FLAG, VERSION, BUS_ID, HEX16, NUMBERS, CPUS, PROCESS, UTILIZATION, ACCOUNTING, EVENT, FIELD, GPUS, SRAM };
enum place { DRIVER = 1, GPU = 2, BOTH = 3 };

/* '#' stands for a number, '@' for one of the choices (words between blanks); without choices, for a function's name. */
struct key {
    const char *pattern;
    enum place place;
    enum kind kind;
    const char *choices;
};

#define LOCATIONS "l1 l2 dram register_file texture texture_shm cbu sram"
#define BUCKETS "l2 sm pcie mcu other"
#define THRESHOLDS "shutdown slowdown memory_max gpu_max acoustic_min acoustic_current acoustic_max gps_current"
#define LINK_ERRORS "replay recovery crc_flit crc_data ecc"
#define CLOCKS "graphics sm memory video"

static const struct key KEYS[] = {
    {"ret.@", BOTH, U32, NULL},
    {"delay_ms.@", BOTH, U32, NULL},
    {"field.#", BOTH, FIELD, NULL},
    {"field.#.#", BOTH, FIELD, NULL},

    {"driver", DRIVER, TEXT, NULL},
    {"cuda", DRIVER, VERSION, NULL},
    {"nvml", DRIVER, TEXT, NULL},
    {"gpus", DRIVER, GPUS, NULL},
    {"seed", DRIVER, TEXT, NULL},
    {"excluded", DRIVER, U32, NULL},
    {"cc.feature", DRIVER, U32, NULL},
    {"cc.environment", DRIVER, U32, NULL},
    {"cc.devtools", DRIVER, U32, NULL},
    {"cc.ready", DRIVER, FLAG, NULL},

    {"lost", GPU, FLAG, NULL},
    {"name", GPU, TEXT, NULL},
    {"uuid", GPU, TEXT, NULL},
    {"serial", GPU, TEXT, NULL},
    {"minor", GPU, U32, NULL},
    {"bus_id", GPU, BUS_ID, NULL},
    {"pci.device_id", GPU, U32, NULL},
    {"pci.subsystem_id", GPU, U32, NULL},
    {"module_id", GPU, U32, NULL},
    {"board_part_number", GPU, TEXT, NULL},
    {"compute_capability", GPU, VERSION, NULL},
    {"architecture", GPU, U32, NULL},
    {"vbios", GPU, TEXT, NULL},
    {"inforom.valid", GPU, FLAG, NULL},
    {"inforom.image_version", GPU, TEXT, NULL},
    {"inforom.checksum", GPU, U32, NULL},
    {"gsp.version", GPU, TEXT, NULL},
    {"gsp.mode", GPU, FLAG, NULL},
    {"gsp.mode.default", GPU, FLAG, NULL},
    {"platform.module", GPU, U32, NULL},
    {"platform.ib_guid", GPU, HEX16, NULL},
    {"platform.chassis", GPU, TEXT, NULL},
    {"platform.slot", GPU, U32, NULL},
    {"platform.tray", GPU, U32, NULL},
    {"platform.host", GPU, U32, NULL},
    {"platform.peer", GPU, U32, NULL},
    {"virtualization.mode", GPU, U32, NULL},
    {"affinity.cpus", GPU, CPUS, NULL},
    {"persistence.mode", GPU, FLAG, NULL},
    {"compute.mode", GPU, U32, NULL},
    {"performance_state", GPU, U32, NULL},

    {"memory.total", GPU, U64, NULL},
    {"memory.used", GPU, U64, NULL},
    {"memory.reserved", GPU, U64, NULL},
    {"bar1.total", GPU, U64, NULL},
    {"bar1.used", GPU, U64, NULL},
    {"process.#", GPU, PROCESS, NULL},
    {"process.graphics.#", GPU, PROCESS, NULL},
    {"process.mps.#", GPU, PROCESS, NULL},
    {"utilization.gpu", GPU, U32, NULL},
    {"utilization.memory", GPU, U32, NULL},
    {"utilization.#", GPU, UTILIZATION, NULL},
    {"accounting.mode", GPU, FLAG, NULL},
    {"accounting.buffer_size", GPU, U32, NULL},
    {"accounting.pid.#", GPU, ACCOUNTING, NULL},

    {"ecc.mode", GPU, FLAG, NULL},
    {"ecc.mode.pending", GPU, FLAG, NULL},
    {"ecc.corrected.volatile", GPU, U64, NULL},
    {"ecc.corrected.aggregate", GPU, U64, NULL},
    {"ecc.uncorrected.volatile", GPU, U64, NULL},
    {"ecc.uncorrected.aggregate", GPU, U64, NULL},
    {"ecc.corrected.volatile.@", GPU, U64, LOCATIONS},
    {"ecc.corrected.aggregate.@", GPU, U64, LOCATIONS},
    {"ecc.uncorrected.volatile.@", GPU, U64, LOCATIONS},
    {"ecc.uncorrected.aggregate.@", GPU, U64, LOCATIONS},
    {"sram.threshold_exceeded", GPU, FLAG, NULL},
    {"sram.aggregate.parity", GPU, U64, NULL},
    {"sram.aggregate.secded", GPU, U64, NULL},
    {"sram.aggregate.corrected", GPU, U64, NULL},
    {"sram.volatile.parity", GPU, U64, NULL},
    {"sram.volatile.secded", GPU, U64, NULL},
    {"sram.volatile.corrected", GPU, U64, NULL},
    {"sram.bucket.@", GPU, U64, BUCKETS},
    {"sram.unique", GPU, U32, NULL},
    {"sram.unique.#", GPU, SRAM, NULL},
    {"retired.sbe", GPU, U32, NULL},
    {"retired.dbe", GPU, U32, NULL},
    {"retired.pending", GPU, FLAG, NULL},
    {"remap.correctable", GPU, U32, NULL},
    {"remap.uncorrectable", GPU, U32, NULL},
    {"remap.pending", GPU, FLAG, NULL},
    {"remap.failure", GPU, FLAG, NULL},
    {"remap.histogram.max", GPU, U32, NULL},
    {"remap.histogram.high", GPU, U32, NULL},
    {"remap.histogram.partial", GPU, U32, NULL},
    {"remap.histogram.low", GPU, U32, NULL},
    {"remap.histogram.none", GPU, U32, NULL},
    {"repair.channel", GPU, FLAG, NULL},
    {"repair.tpc", GPU, FLAG, NULL},
    {"unrepairable", GPU, FLAG, NULL},

    {"clocks.event_reasons", GPU, U64, NULL},
    {"clock.@", GPU, U32, CLOCKS},
    {"clock.max.@", GPU, U32, CLOCKS},
    {"clock.application.@", GPU, U32, CLOCKS},
    {"clocks.supported.memory", GPU, NUMBERS, NULL},
    {"clocks.supported.graphics", GPU, NUMBERS, NULL},
    {"temperature", GPU, I32, NULL},
    {"temperature.margin", GPU, I32, NULL},
    {"temperature.threshold.@", GPU, U32, THRESHOLDS},
    {"power.usage", GPU, U32, NULL},
    {"power.limit", GPU, U32, NULL},
    {"power.limit.default", GPU, U32, NULL},
    {"power.limit.enforced", GPU, U32, NULL},

    {"pcie.gen.current", GPU, U32, NULL},
    {"pcie.gen.max", GPU, U32, NULL},
    {"pcie.gen.gpu_max", GPU, U32, NULL},
    {"pcie.width.current", GPU, U32, NULL},
    {"pcie.width.max", GPU, U32, NULL},
    {"pcie.replay", GPU, U32, NULL},
    {"nvlink.links", GPU, U32, NULL},
    {"nvlink.state", GPU, FLAG, NULL},
    {"nvlink.version", GPU, U32, NULL},
    {"nvlink.remote", GPU, U32, NULL},
    {"nvlink.peer", GPU, BUS_ID, NULL},
    {"nvlink.errors.@", GPU, U64, LINK_ERRORS},
    {"nvlink.#.state", GPU, FLAG, NULL},
    {"nvlink.#.version", GPU, U32, NULL},
    {"nvlink.#.remote", GPU, U32, NULL},
    {"nvlink.#.peer", GPU, BUS_ID, NULL},
    {"nvlink.#.errors.@", GPU, U64, LINK_ERRORS},
    {"fabric.state", GPU, U32, NULL},
    {"fabric.status", GPU, U32, NULL},
    {"fabric.clique", GPU, U32, NULL},
    {"fabric.uuid", GPU, HEX16, NULL},
    {"fabric.health_mask", GPU, U32, NULL},
    {"fabric.health_summary", GPU, U32, NULL},

    {"mig.mode", GPU, FLAG, NULL},
    {"mig.mode.pending", GPU, FLAG, NULL},
    {"mig.max", GPU, U32, NULL},
    {"mig.#.gi", GPU, U32, NULL},
    {"mig.#.ci", GPU, U32, NULL},
    {"mig.#.uuid", GPU, TEXT, NULL},
    {"mig.#.name", GPU, TEXT, NULL},
    {"mig.#.memory.total", GPU, U64, NULL},
    {"mig.#.memory.used", GPU, U64, NULL},
    {"mig.#.slices", GPU, U32, NULL},
    {"mig.#.compute_slices", GPU, U32, NULL},
    {"mig.#.multiprocessors", GPU, U32, NULL},

    {"events.supported", GPU, U64, NULL},
    {"event.#", GPU, EVENT, NULL},
};

static bool is_choice(const char *choices, const char *word, size_t length) {
    for (const char *choice = choices; choice != NULL && *choice != '\0';) {
        size_t size = strcspn(choice, " ");
        if (size == length && strncmp(choice, word, length) == 0)
            return true;
        choice += size + (choice[size] == ' ');
    }
    return false;
}

/* Whether this library exports the symbol, as written or with a version behind it. */
static bool is_function(const char *word, size_t length) {
    static const char *const suffixes[] = {"", "_v1", "_v2", "_v3"};
    char symbol[128];
    Dl_info self;
    if (strncmp(word, "nvml", 4) != 0 || length + 4 > sizeof symbol || dladdr((void *)KEYS, &self) == 0)
        return false;
    void *library = dlopen(self.dli_fname, RTLD_NOLOAD | RTLD_LAZY);
    bool found = false;
    for (size_t i = 0; library != NULL && !found && i < sizeof suffixes / sizeof *suffixes; i++) {
        snprintf(symbol, sizeof symbol, "%.*s%s", (int)length, word, suffixes[i]);
        found = dlsym(library, symbol) != NULL;
    }
    if (library != NULL)
        dlclose(library);
    return found;
}

/* Whether the name has the pattern's form. */
static bool matches(const struct key *key, const char *name) {
    for (const char *pattern = key->pattern; *pattern != '\0'; pattern++) {
        const char *start = name;
        if (*pattern == '#') {
            name += strspn(name, "0123456789");
        } else if (*pattern == '@') {
            name += strcspn(name, ".");
            size_t length = (size_t)(name - start);
            if (!(key->choices != NULL ? is_choice(key->choices, start, length) : is_function(start, length)))
                return false;
        } else if (*pattern == *name) {
            name++;
        }
        if (name == start)
            return false;
    }
    return *name == '\0';
}

static bool value_fits(enum kind kind, const char *value, const char **wanted) {
    union {
        uint64_t u64;
        uint32_t u32[2];
        int32_t i32;
        uint8_t bytes[16];
        struct bus_id bus_id;
        struct process_info process;
        struct process_utilization utilization;
        struct accounting_stats accounting;
        struct event_data event;
        struct field_value field;
        struct sram_entry sram;
    } out;
    switch (kind) {
    case TEXT: return true;
    case U32: *wanted = "a whole number below 2^32"; return parse_u32(value, &out.u32[0]);
    case U64: *wanted = "a whole number below 2^64"; return parse_u64(value, &out.u64);
    case I32: *wanted = "a whole number"; return parse_i32(value, &out.i32);
    case FLAG: *wanted = "0 or 1"; return parse_flag(value, &out.u32[0]);
    case VERSION: *wanted = "major.minor"; return parse_version(value, &out.u32[0], &out.u32[1]);
    case BUS_ID: *wanted = "a PCI address such as 00000000:1B:00.0"; return parse_bus_id(value, &out.bus_id);
    case HEX16: *wanted = "32 hexadecimal digits"; return parse_hex16(value, out.bytes);
    case NUMBERS: *wanted = "numbers with blanks between"; return parse_numbers(value, NULL, 0, &out.u32[0]);
    case CPUS: *wanted = "a list of CPUs such as 0-3,8"; return parse_cpus(value, NULL, 0);
    case UTILIZATION: *wanted = "pid:us:sm%[:memory%[:encoder%[:decoder%]]]"; return parse_utilization(value, &out.utilization);
    case PROCESS: *wanted = "pid[:bytes[:gi:ci]]"; return parse_process(value, &out.process);
    case ACCOUNTING: *wanted = "gpu%:memory%:bytes:ms[:start_us[:running]]"; return parse_accounting(value, &out.accounting);
    case EVENT: *wanted = "type:data[:gi:ci]"; return parse_event(value, &out.event);
    case FIELD: *wanted = "[type:]number or ret:code"; return parse_field(value, &out.field);
    case SRAM: *wanted = "unit:location:sublocation:parity:count"; return parse_sram(value, &out.sram);
    case GPUS: *wanted = "a number of GPUs up to 1048576"; return parse_u32(value, &out.u32[0]) && out.u32[0] <= MAX_GPUS;
    }
    return false;
}

enum key_verdict key_check(int64_t scope, const char *name, const char *value, const char **wanted) {
    enum place place = scope == SCOPE_DRIVER ? DRIVER : GPU;
    for (size_t i = 0; i < sizeof KEYS / sizeof *KEYS; i++)
        if ((KEYS[i].place & place) != 0 && matches(&KEYS[i], name))
            return *value == '\0' || value_fits(KEYS[i].kind, value, wanted) ? KEY_FINE : KEY_BAD_VALUE;
    return KEY_UNKNOWN;
}
