#include "values.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Reads an unsigned number and leaves *end behind it; refuses signs and blanks, which strtoull would take. */
static bool read_u64(const char *text, const char **end, uint64_t *out) {
    if (!isdigit((unsigned char)*text))
        return false;
    int base = text[0] == '0' && (text[1] == 'x' || text[1] == 'X') ? 16 : 10;
    char *stop;
    errno = 0;
    unsigned long long number = strtoull(text, &stop, base);
    if (errno != 0 || (base == 16 && stop <= text + 2))
        return false;
    *end = stop;
    *out = number;
    return true;
}

bool parse_u64(const char *text, uint64_t *out) {
    const char *end;
    return read_u64(text, &end, out) && *end == '\0';
}

bool parse_u32(const char *text, uint32_t *out) {
    uint64_t wide;
    if (!parse_u64(text, &wide) || wide > UINT32_MAX)
        return false;
    *out = (uint32_t)wide;
    return true;
}

static bool parse_i64(const char *text, int64_t *out) {
    uint64_t size;
    bool negative = *text == '-';
    if (!parse_u64(text + negative, &size) || size > (uint64_t)INT64_MAX)
        return false;
    *out = negative ? -(int64_t)size : (int64_t)size;
    return true;
}

bool parse_i32(const char *text, int32_t *out) {
    int64_t wide;
    if (!parse_i64(text, &wide) || wide < INT32_MIN || wide > INT32_MAX)
        return false;
    *out = (int32_t)wide;
    return true;
}

bool parse_flag(const char *text, uint32_t *out) {
    return parse_u32(text, out) && *out <= 1;
}

bool parse_version(const char *text, uint32_t *major, uint32_t *minor) {
    const char *end;
    uint64_t first, second;
    if (!read_u64(text, &end, &first) || *end != '.' || !read_u64(end + 1, &end, &second) || *end != '\0')
        return false;
    /* CUDA's own encoding, 1000 * major + 10 * minor, holds no more. */
    if (first > 99999 || second > 99)
        return false;
    *major = (uint32_t)first;
    *minor = (uint32_t)second;
    return true;
}

/* Reads hex digits up to the separator (or the end where it is NUL). */
static bool read_hex(const char **text, char separator, uint32_t limit, uint32_t *out) {
    if (!isxdigit((unsigned char)**text))
        return false;
    char *end;
    errno = 0;
    unsigned long number = strtoul(*text, &end, 16);
    if (errno != 0 || *end != separator || number > limit)
        return false;
    *text = end + (separator != '\0');
    *out = (uint32_t)number;
    return true;
}

/* domain:bus:device.function, the form of NVML and of lspci -D; GPUs are function 0. */
bool parse_bus_id(const char *text, struct bus_id *out) {
    uint32_t function;
    return read_hex(&text, ':', UINT32_MAX, &out->domain) && read_hex(&text, ':', 0xff, &out->bus) &&
           read_hex(&text, '.', 0x1f, &out->device) && read_hex(&text, '\0', 7, &function) && function == 0;
}

static int hex_digit(char digit) {
    if (!isxdigit((unsigned char)digit))
        return -1;
    return isdigit((unsigned char)digit) ? digit - '0' : tolower((unsigned char)digit) - 'a' + 10;
}

bool parse_hex16(const char *text, uint8_t out[16]) {
    if (strlen(text) != 32)
        return false;
    for (int i = 0; i < 16; i++) {
        int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

bool parse_numbers(const char *text, uint32_t *out, uint32_t most, uint32_t *count) {
    for (*count = 0; *text != '\0'; ++*count) {
        uint64_t number;
        if (!read_u64(text, &text, &number) || number > UINT32_MAX || (*text != '\0' && *text != ' '))
            return false;
        text += strspn(text, " ");
        if (out != NULL && *count < most)
            out[*count] = (uint32_t)number;
    }
    return *count > 0;
}

#define MOST_CPUS 65536 /* a limit of ours: no list is walked for ever */

bool parse_cpus(const char *text, unsigned long *out, uint32_t words) {
    const uint32_t bits = 8 * sizeof *out;
    if (out != NULL)
        memset(out, 0, words * sizeof *out);
    for (;;) {
        uint64_t first, last;
        if (!read_u64(text, &text, &first))
            return false;
        last = first;
        if (*text == '-' && !read_u64(text + 1, &text, &last))
            return false;
        if (last < first || last >= MOST_CPUS || (*text != '\0' && *text != ','))
            return false;
        for (uint64_t cpu = first; out != NULL && cpu <= last && cpu / bits < words; cpu++)
            out[cpu / bits] |= 1UL << cpu % bits;
        if (*text++ == '\0')
            return true;
    }
}

/* Splits a:b:c into at most `most` numbers; answers how many, 0 where the text is anything else. */
static int split_numbers(const char *text, uint64_t *numbers, int most) {
    for (int count = 0; count < most;) {
        if (!read_u64(text, &text, &numbers[count++]))
            return 0;
        if (*text == '\0')
            return count;
        if (*text++ != ':')
            return 0;
    }
    return 0;
}

static bool all_u32(const uint64_t *numbers, int from, int to) {
    for (int i = from; i < to; i++)
        if (numbers[i] > UINT32_MAX)
            return false;
    return true;
}

/* pid[:bytes[:gpu instance:compute instance]] */
bool parse_process(const char *text, struct process_info *out) {
    uint64_t n[4] = {0, NOT_AVAILABLE_U64, NO_INSTANCE, NO_INSTANCE};
    int count = split_numbers(text, n, 4);
    if (count == 0 || count == 3 || !all_u32(n, 0, 1) || !all_u32(n, 2, 4))
        return false;
    *out = (struct process_info){(uint32_t)n[0], n[1], (uint32_t)n[2], (uint32_t)n[3]};
    return true;
}

/* pid:time us:sm %[:memory %[:encoder %[:decoder %]]] */
bool parse_utilization(const char *text, struct process_utilization *out) {
    uint64_t n[6] = {0};
    if (split_numbers(text, n, 6) < 3 || !all_u32(n, 0, 1) || !all_u32(n, 2, 6))
        return false;
    *out = (struct process_utilization){(uint32_t)n[0], n[1], (uint32_t)n[2], (uint32_t)n[3], (uint32_t)n[4],
                                        (uint32_t)n[5]};
    return true;
}

/* gpu %:memory %:peak bytes:time ms[:start us[:running]] */
bool parse_accounting(const char *text, struct accounting_stats *out) {
    uint64_t n[6] = {0};
    int count = split_numbers(text, n, 6);
    if (count < 4 || !all_u32(n, 0, 2) || n[5] > 1)
        return false;
    *out = (struct accounting_stats){(uint32_t)n[0], (uint32_t)n[1], n[2], n[3], n[4], (uint32_t)n[5], {0}};
    return true;
}

/* type:data[:gpu instance:compute instance]; the device is the caller's to fill in. */
bool parse_event(const char *text, struct event_data *out) {
    uint64_t n[4] = {0, 0, NO_INSTANCE, NO_INSTANCE};
    int count = split_numbers(text, n, 4);
    if ((count != 2 && count != 4) || n[0] == 0 || !all_u32(n, 2, 4))
        return false;
    *out = (struct event_data){NULL, n[0], n[1], (uint32_t)n[2], (uint32_t)n[3]};
    return true;
}

bool parse_sram(const char *text, struct sram_entry *out) {
    uint64_t n[5] = {0};
    if (split_numbers(text, n, 5) != 5 || !all_u32(n, 0, 5) || n[3] > 1)
        return false;
    *out = (struct sram_entry){(uint32_t)n[0], (uint32_t)n[1], (uint32_t)n[2], 0, 0, (uint32_t)n[3], (uint32_t)n[4]};
    return true;
}

static bool parse_f64(const char *text, double *out) {
    char *end;
    if (!isdigit((unsigned char)text[*text == '-']))
        return false;
    errno = 0;
    *out = strtod(text, &end);
    return errno == 0 && *end == '\0';
}

static bool parse_typed(const char *type, size_t length, const char *text, struct field_value *out) {
    static const char *const names[] = {"f64", "u32", "ulong", "u64", "i64", "i32", "u16"};
    uint32_t small;
    if (length == 3 && strncmp(type, "ret", 3) == 0)
        return parse_u32(text, &out->status);
    for (uint32_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strlen(names[i]) == length && strncmp(names[i], type, length) == 0)
            out->type = i;
    switch (out->type) {
    case FIELD_F64: return parse_f64(text, &out->value.f64);
    case FIELD_U32: return parse_u32(text, &out->value.u32);
    case FIELD_ULONG:
    case FIELD_U64: return parse_u64(text, &out->value.u64);
    case FIELD_I64: return parse_i64(text, &out->value.i64);
    case FIELD_I32: return parse_i32(text, &out->value.i32);
    case FIELD_U16:
        if (!parse_u32(text, &small) || small > UINT16_MAX)
            return false;
        out->value.u16 = (uint16_t)small;
        return true;
    default: return false;
    }
}

/* [type:]number or ret:code. Without a type: the narrowest of u32, u64, i32, i64, or f64 with a point. */
bool parse_field(const char *text, struct field_value *out) {
    const char *colon = strchr(text, ':');
    out->status = NVML_OK;
    out->type = UINT32_MAX;
    out->value.u64 = 0;
    if (colon != NULL)
        return parse_typed(text, (size_t)(colon - text), colon + 1, out);
    if (parse_u64(text, &out->value.u64))
        out->type = out->value.u64 > UINT32_MAX ? FIELD_U64 : FIELD_U32;
    else if (parse_i64(text, &out->value.i64))
        out->type = out->value.i64 < INT32_MIN ? FIELD_I64 : FIELD_I32;
    else if (parse_f64(text, &out->value.f64))
        out->type = FIELD_F64;
    else
        return false;
    return true;
}
