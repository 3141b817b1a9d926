/* Start the checking program. */
#ifndef PREFLIGHT_LAUNCH_H
#define PREFLIGHT_LAUNCH_H

#include <sys/types.h>

struct launch {
	char **envp;
	int null_fd;
	int pipe_read;            /* the program's stderr, non-blocking */
	int pipe_write;
	volatile int *exec_errno; /* shared with the child: why it could not become the program; 0 if it did */
	pid_t parent;
};

/*
 * Start `program require --to json -- spec` and return its pid, or -1 with errno set.
 *
 * No shell; stdin and stdout on /dev/null, stderr into pipe_read; no other descriptor; the user's environment
 * without what redirects interpreters; a process group of its own, and an end of its own when the caller dies.
 * launch_end() must follow in either case.
 */
pid_t launch_start(struct launch *launch, const char *program, const char *spec);

/* Free what launch_start took. It neither ends nor waits for the child. */
void launch_end(struct launch *launch);

#endif
