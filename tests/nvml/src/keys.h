/* The table of keys: which there are, where they may stand and what their values look like. */
#ifndef PREFLIGHT_KEYS_H
#define PREFLIGHT_KEYS_H

#include <stdbool.h>
#include <stdint.h>

enum key_verdict { KEY_FINE, KEY_UNKNOWN, KEY_BAD_VALUE };

/* Judges one line's key (its name without the gpu.N part) and value; *wanted says what the value should have been. */
enum key_verdict key_check(int64_t scope, const char *name, const char *value, const char **wanted);

#endif
