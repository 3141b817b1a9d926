/* Text that users and programs wrote, made fit for a terminal. */
#include "text.h"

#include <stddef.h>
#include <string.h>

#define LINE_MAX_BYTES 200

/* Length of the valid, shown UTF-8 sequence at `byte`; 0 when there is none. */
static size_t shown_utf8(const unsigned char *byte)
{
	size_t length, i;
	unsigned int code;

	if (byte[0] >= 0xc2 && byte[0] <= 0xdf)
		length = 2;
	else if ((byte[0] & 0xf0) == 0xe0)
		length = 3;
	else if (byte[0] >= 0xf0 && byte[0] <= 0xf4)
		length = 4;
	else
		return 0;

	code = byte[0] & (0xffu >> (length + 1));
	for (i = 1; i < length; i++) {
		if ((byte[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (byte[i] & 0x3f);
	}
	if (code < 0xa0 || (length == 3 && code < 0x800) || (length == 4 && code < 0x10000))
		return 0;
	/* Surrogates, what lies past Unicode, and the marks that turn the direction of a line around. */
	if ((code >= 0xd800 && code <= 0xdfff) || code > 0x10ffff)
		return 0;
	if ((code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069))
		return 0;
	return length;
}

void text_clean(char *text)
{
	unsigned char *byte = (unsigned char *)text;
	size_t length;

	while (*byte) {
		if (*byte == '\t') {
			*byte++ = ' ';
		} else if (*byte == '\n' || (*byte >= 0x20 && *byte < 0x7f)) {
			byte++;
		} else if ((length = shown_utf8(byte)) > 0) {
			byte += length;
		} else {
			*byte++ = '?';
		}
	}
}

bool text_has_control(const char *text)
{
	const unsigned char *byte;

	for (byte = (const unsigned char *)text; *byte; byte++) {
		if ((*byte < 0x20 && *byte != '\t' && *byte != '\n') || *byte == 0x7f)
			return true;
		if (byte[0] == 0xc2 && byte[1] >= 0x80 && byte[1] < 0xa0)
			return true;
	}
	return false;
}

bool text_is_word(const char *text, size_t most)
{
	size_t length;

	for (length = 0; text[length]; length++)
		if (length >= most || text[length] <= 0x20 || text[length] >= 0x7f)
			return false;
	return true;
}

const char *text_last_line(char *text)
{
	size_t end = strlen(text);
	char *start;

	while (end > 0 && (text[end - 1] == '\n' || text[end - 1] == ' '))
		end--;
	text[end] = '\0';
	start = strrchr(text, '\n');
	start = start ? start + 1 : text;
	if (strlen(start) > LINE_MAX_BYTES) {
		/* Not in the middle of a character. */
		for (end = LINE_MAX_BYTES; end > 0 && ((unsigned char)start[end] & 0xc0) == 0x80; end--)
			;
		start[end] = '\0';
	}
	return start;
}
