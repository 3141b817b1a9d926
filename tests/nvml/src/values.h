/* What a scenario's values mean: one parser a kind, used when a scenario is validated and when it is answered. */
#ifndef PREFLIGHT_VALUES_H
#define PREFLIGHT_VALUES_H

#include "nvml_abi.h"

#include <stdbool.h>

struct bus_id {
    uint32_t domain, bus, device;
};


/* Each answers false where the text is not of its kind; *out is then unspecified. Numbers are decimal or 0x hex. */
bool parse_u64(const char *text, uint64_t *out);
bool parse_u32(const char *text, uint32_t *out);
bool parse_i32(const char *text, int32_t *out);
bool parse_flag(const char *text, uint32_t *out);
bool parse_version(const char *text, uint32_t *major, uint32_t *minor);
bool parse_bus_id(const char *text, struct bus_id *out);
bool parse_hex16(const char *text, uint8_t out[16]);
/* Blank-separated numbers: at most `most` of them into out, which may be NULL; *count is how many there are. */
bool parse_numbers(const char *text, uint32_t *out, uint32_t most, uint32_t *count);
/* A list of numbers and ranges such as 0-3,8 as bits; those past `words` unsigned longs are left out. */
bool parse_cpus(const char *text, unsigned long *out, uint32_t words);
bool parse_utilization(const char *text, struct process_utilization *out);
bool parse_process(const char *text, struct process_info *out);
bool parse_accounting(const char *text, struct accounting_stats *out);
bool parse_event(const char *text, struct event_data *out);
/* unit:location:sublocation:parity:count */
bool parse_sram(const char *text, struct sram_entry *out);
bool parse_field(const char *text, struct field_value *out);

#endif
