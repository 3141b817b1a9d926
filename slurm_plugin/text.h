/* Text that users and programs wrote, made fit for a terminal. */
#ifndef PREFLIGHT_TEXT_H
#define PREFLIGHT_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Replace in place, by '?', what a terminal could act on: control characters (C0 but newline, DEL, and C1
 * in UTF-8) and bytes that are not UTF-8. A tab becomes a space, so that a caret stays below its mark.
 */
void text_clean(char *text);

/* Does it hold a control character other than tab and newline? */
bool text_has_control(const char *text);

/* Is it at most `most` bytes of printing ASCII, without a blank? */
bool text_is_word(const char *text, size_t most);

/* The last line of `text` that is not blank, cut to 200 bytes in place; "" without one. */
const char *text_last_line(char *text);

#endif
