/* The program that checks a requirement: run it, bounded in time and in what it may say. */
#ifndef PREFLIGHT_CHECKER_H
#define PREFLIGHT_CHECKER_H

#include <stddef.h>

/* What the program may take, in milliseconds; what stays of two seconds is for ending it. */
#define CHECKER_RUN_MS 1800
#define CHECKER_REAP_MS 150

/* How many bytes of its stderr are kept; the rest is read and dropped. */
#define CHECKER_TEXT_MAX 8192

enum checker_verdict {
	CHECKER_ACCEPTED,    /* exit status 0 */
	CHECKER_REFUSED,     /* exit status 2 with a message about the requirement */
	CHECKER_UNAVAILABLE, /* anything else: `why` says what */
};

struct checker_answer {
	enum checker_verdict verdict;
	char why[256];                       /* with CHECKER_UNAVAILABLE: one line */
	char text[CHECKER_TEXT_MAX + 1];     /* its stderr, raw: clean it before it is shown */
	size_t text_len;
};

/*
 * Run `program require --to json -- spec` as the calling user and fill in *answer.
 *
 * No shell; stdin and stdout on /dev/null; no inherited descriptor; its own process group, which is
 * killed before this returns. Never takes longer than CHECKER_RUN_MS + CHECKER_REAP_MS.
 */
void checker_run(const char *program, const char *spec, struct checker_answer *answer);

#endif
