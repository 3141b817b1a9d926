/* What both programs share: bounded text, and one line to syslog that never waits. */
#ifndef PREFLIGHT_COMMON_H
#define PREFLIGHT_COMMON_H

#include <stdbool.h>
#include <stddef.h>

extern char **environ;

enum { PLACE_MAX = 4096 };

/* Put the pieces, up to a NULL, into `out` one after another; false where they do not fit into `room` bytes. */
bool joined(char *out, size_t room, const char *const *pieces);

/* Whether `text` may be a node's name in a path: letters, digits, ".", "_", "-", none of them first but the former two. */
bool is_node_name(const char *text);

/* Whether `text` is a decimal number of at most 10 digits. */
bool is_number(const char *text);

/* Read the whole of a file, `room` - 1 bytes at most, and end it with a NUL; -1 where that cannot be done. */
long read_file(const char *path, char *out, size_t room);

/* Send one line to syslog as daemon preflight; lost where nobody takes it. */
void say(const char *text);

#endif
