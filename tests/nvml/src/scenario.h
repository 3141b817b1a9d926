/* The scenario: what the simulated driver is told to answer. Immutable once loaded. */
#ifndef PREFLIGHT_SCENARIO_H
#define PREFLIGHT_SCENARIO_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The part of a key before its name: a GPU's index, or one of these. */
#define SCOPE_DRIVER ((int64_t)-2)
#define SCOPE_EVERY_GPU ((int64_t)-1)

#define MAX_GPUS (1u << 20)

struct scenario;

enum scenario_result { SCENARIO_LOADED, SCENARIO_MISSING, SCENARIO_BROKEN };

/*
 * Loads the file at path into *result. A file that is not there is SCENARIO_MISSING; one that cannot be read or
 * holds a line that cannot be understood is SCENARIO_BROKEN, with one line on stderr that names file and line.
 * strict also refuses unknown keys and GPU indexes past the last.
 */
enum scenario_result scenario_load(const char *path, bool strict, struct scenario **result);
void scenario_free(struct scenario *scenario);

uint32_t scenario_gpus(const struct scenario *scenario);

/* The value under exactly this scope, "" where the key stands without one, NULL where it does not stand. */
const char *scenario_exact(const struct scenario *scenario, int64_t scope, const char *name);

/* A driver key's value; NULL where absent or empty. */
const char *scenario_driver(const struct scenario *scenario, const char *name);

/* A GPU key's value, gpu.N before gpu.*; NULL where absent or empty. The name is a printf format. */
const char *scenario_gpu(const struct scenario *scenario, uint32_t gpu, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
const char *scenario_gpu_v(const struct scenario *scenario, uint32_t gpu, const char *format, va_list arguments)
    __attribute__((format(printf, 3, 0)));

/*
 * Calls visit for each gpu.N.PREFIX<label>SUFFIX and each gpu.*.PREFIX<label>SUFFIX that gpu.N does not replace, the
 * GPU's own first, each in the order of their labels; stops at the first false, and answers whether it came to the
 * end. Entries without a value are left out.
 */
typedef bool (*scenario_visit)(void *context, uint32_t label, const char *value);
bool scenario_each(const struct scenario *scenario, uint32_t gpu, const char *prefix, const char *suffix,
                   scenario_visit visit, void *context);

#endif
