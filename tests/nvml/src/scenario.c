#include "scenario.h"

#include "keys.h"
#include "values.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct entry {
    int64_t scope;
    const char *name;  /* both point into the scenario's text */
    const char *value;
    size_t line;
};

struct scenario {
    char *text;
    struct entry *entries; /* by scope, then name; one a key */
    size_t count;
    uint32_t gpus;
};

/* Order of names: digit runs by their number, so that process.10 follows process.9. */
static int compare_names(const char *left, const char *right) {
    const char *l = left, *r = right;
    while (*l != '\0' && *r != '\0') {
        if (isdigit((unsigned char)*l) && isdigit((unsigned char)*r)) {
            unsigned long long a = strtoull(l, (char **)&l, 10), b = strtoull(r, (char **)&r, 10);
            if (a != b)
                return a < b ? -1 : 1;
        } else if (*l != *r) {
            return (unsigned char)*l < (unsigned char)*r ? -1 : 1;
        } else {
            l++;
            r++;
        }
    }
    return (*l != '\0') - (*r != '\0');
}

static int compare_keys(const struct entry *a, const struct entry *b) {
    if (a->scope != b->scope)
        return a->scope < b->scope ? -1 : 1;
    return compare_names(a->name, b->name);
}

static int compare_entries(const void *left, const void *right) {
    const struct entry *a = left, *b = right;
    int order = compare_keys(a, b);
    return order != 0 ? order : (a->line > b->line) - (a->line < b->line);
}

static int compare_keys_only(const void *left, const void *right) {
    return compare_keys(left, right);
}

static bool complain(const char *path, size_t line, const char *problem, const char *detail) {
    fprintf(stderr, "nvml simulator: %s:%zu: %s%s\n", path, line, problem, detail);
    return false;
}

/* Reads the whole file. NULL with errno set where that fails; *size excludes the NUL put behind it. */
static char *read_file(const char *path, size_t *size) {
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return NULL;
    char *text = NULL;
    size_t used = 0, room = 0;
    for (;;) {
        if (room - used < 2) {
            char *more = realloc(text, room = room * 2 + 4096);
            if (more == NULL)
                break;
            text = more;
        }
        ssize_t got = read(descriptor, text + used, room - used - 1);
        if (got == 0) {
            close(descriptor);
            text[used] = '\0';
            *size = used;
            return text;
        }
        if (got > 0)
            used += (size_t)got;
        else if (errno != EINTR)
            break;
    }
    int error = errno;
    free(text);
    close(descriptor);
    errno = error;
    return NULL;
}

/* Cuts blanks at both ends, in place. */
static char *trim(char *text) {
    while (isspace((unsigned char)*text))
        text++;
    char *end = text + strlen(text);
    while (end > text && isspace((unsigned char)end[-1]))
        end--;
    *end = '\0';
    return text;
}

/* A comment runs from a '#' that starts the line or follows a blank. */
static void cut_comment(char *line) {
    for (char *c = line; *c != '\0'; c++)
        if (*c == '#' && (c == line || isspace((unsigned char)c[-1]))) {
            *c = '\0';
            return;
        }
}

/* Splits gpu.N. or gpu.*. off the key. */
static bool read_scope(char *key, struct entry *entry) {
    entry->scope = SCOPE_DRIVER;
    entry->name = key;
    if (strncmp(key, "gpu.", 4) != 0)
        return true;
    char *dot = strchr(key + 4, '.');
    if (dot == NULL || dot[1] == '\0')
        return false;
    *dot = '\0';
    uint32_t index;
    if (strcmp(key + 4, "*") == 0)
        entry->scope = SCOPE_EVERY_GPU;
    else if (parse_u32(key + 4, &index))
        entry->scope = index;
    else
        return false;
    entry->name = dot + 1;
    return true;
}

static bool read_line(const char *path, char *line, bool strict, struct entry *entry) {
    char *equals = strchr(line, '=');
    if (equals == NULL)
        return complain(path, entry->line, "not of the form key = value: ", line);
    *equals = '\0';
    char *key = trim(line);
    entry->value = trim(equals + 1);
    if (*key == '\0')
        return complain(path, entry->line, "no key before '='", "");
    for (const char *c = key; *c != '\0'; c++)
        if (isspace((unsigned char)*c))
            return complain(path, entry->line, "blanks inside the key ", key);
    if (!read_scope(key, entry))
        return complain(path, entry->line, "gpu. must be followed by a number or *, a dot and a name", "");
    const char *wanted = "";
    switch (key_check(entry->scope, entry->name, entry->value, &wanted)) {
    case KEY_BAD_VALUE: return complain(path, entry->line, "the value must be ", wanted);
    case KEY_UNKNOWN: return !strict || complain(path, entry->line, "unknown key ", entry->name);
    case KEY_FINE: break;
    }
    return true;
}

/* Fills the entries from the text, which it cuts up. */
static bool read_lines(const char *path, size_t size, bool strict, struct scenario *scenario) {
    size_t lines = 1;
    for (size_t i = 0; i < size; i++)
        lines += scenario->text[i] == '\n';
    scenario->entries = calloc(lines, sizeof *scenario->entries);
    if (scenario->entries == NULL)
        return complain(path, 0, "out of memory", "");
    char *next = scenario->text;
    for (size_t number = 1; next != NULL; number++) {
        char *line = next, *end = strchr(line, '\n');
        next = end != NULL ? end + 1 : NULL;
        if (end != NULL)
            *end = '\0';
        cut_comment(line);
        line = trim(line);
        if (*line == '\0')
            continue;
        struct entry *entry = &scenario->entries[scenario->count++];
        entry->line = number;
        if (!read_line(path, line, strict, entry))
            return false;
    }
    return true;
}

/* Sorts, and keeps the last line of each key. */
static void index_entries(struct scenario *scenario) {
    size_t kept = 0;
    qsort(scenario->entries, scenario->count, sizeof *scenario->entries, compare_entries);
    for (size_t i = 0; i < scenario->count; i++) {
        if (kept > 0 && compare_keys(&scenario->entries[kept - 1], &scenario->entries[i]) == 0)
            kept--;
        scenario->entries[kept++] = scenario->entries[i];
    }
    scenario->count = kept;
}

static bool indexes_fit(const char *path, const struct scenario *scenario) {
    for (size_t i = 0; i < scenario->count; i++)
        if (scenario->entries[i].scope >= (int64_t)scenario->gpus)
            return complain(path, scenario->entries[i].line, "no GPU has this index; see the key gpus", "");
    return true;
}

enum scenario_result scenario_load(const char *path, bool strict, struct scenario **result) {
    size_t size;
    struct scenario *scenario = calloc(1, sizeof *scenario);
    if (scenario == NULL)
        return SCENARIO_BROKEN;
    scenario->text = read_file(path, &size);
    if (scenario->text == NULL) {
        int error = errno;
        free(scenario);
        if (error == ENOENT || error == ENOTDIR)
            return SCENARIO_MISSING;
        fprintf(stderr, "nvml simulator: cannot read %s: %s\n", path, strerror(error));
        return SCENARIO_BROKEN;
    }
    bool fine = memchr(scenario->text, '\0', size) == NULL || complain(path, 0, "holds a NUL byte", "");
    fine = fine && read_lines(path, size, strict, scenario);
    if (fine) {
        index_entries(scenario);
        const char *gpus = scenario_driver(scenario, "gpus");
        if (gpus != NULL)
            parse_u32(gpus, &scenario->gpus);
        fine = !strict || indexes_fit(path, scenario);
    }
    if (!fine) {
        scenario_free(scenario);
        return SCENARIO_BROKEN;
    }
    *result = scenario;
    return SCENARIO_LOADED;
}

void scenario_free(struct scenario *scenario) {
    if (scenario == NULL)
        return;
    free(scenario->entries);
    free(scenario->text);
    free(scenario);
}

uint32_t scenario_gpus(const struct scenario *scenario) {
    return scenario->gpus;
}

const char *scenario_exact(const struct scenario *scenario, int64_t scope, const char *name) {
    struct entry wanted = {.scope = scope, .name = name};
    const struct entry *found =
        bsearch(&wanted, scenario->entries, scenario->count, sizeof wanted, compare_keys_only);
    return found != NULL ? found->value : NULL;
}

static const char *present(const char *value) {
    return value != NULL && *value != '\0' ? value : NULL;
}

const char *scenario_driver(const struct scenario *scenario, const char *name) {
    return present(scenario_exact(scenario, SCOPE_DRIVER, name));
}

const char *scenario_gpu_v(const struct scenario *scenario, uint32_t gpu, const char *format, va_list arguments) {
    char name[160]; /* our own names and 32-bit numbers only: the longest is below 100 */
    vsnprintf(name, sizeof name, format, arguments);
    const char *own = scenario_exact(scenario, gpu, name);
    return present(own != NULL ? own : scenario_exact(scenario, SCOPE_EVERY_GPU, name));
}

const char *scenario_gpu(const struct scenario *scenario, uint32_t gpu, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    const char *value = scenario_gpu_v(scenario, gpu, format, arguments);
    va_end(arguments);
    return value;
}

/* Reads the number between prefix and suffix. */
static bool read_label(const char *name, const char *prefix, const char *suffix, uint32_t *label) {
    size_t length = strlen(prefix);
    if (strncmp(name, prefix, length) != 0 || !isdigit((unsigned char)name[length]))
        return false;
    char *end;
    errno = 0;
    unsigned long number = strtoul(name + length, &end, 10);
    *label = (uint32_t)number;
    return errno == 0 && number <= UINT32_MAX && strcmp(end, suffix) == 0;
}

bool scenario_each(const struct scenario *scenario, uint32_t gpu, const char *prefix, const char *suffix,
                   scenario_visit visit, void *context) {
    const int64_t scopes[] = {gpu, SCOPE_EVERY_GPU};
    for (int s = 0; s < 2; s++)
        for (size_t i = 0; i < scenario->count; i++) {
            const struct entry *entry = &scenario->entries[i];
            uint32_t label;
            if (entry->scope != scopes[s] || *entry->value == '\0' || !read_label(entry->name, prefix, suffix, &label))
                continue;
            if (scopes[s] == SCOPE_EVERY_GPU && scenario_exact(scenario, gpu, entry->name) != NULL)
                continue;
            if (!visit(context, label, entry->value))
                return false;
        }
    return true;
}
