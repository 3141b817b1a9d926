/* Listen to the checking program, end it in time, and judge what it said. */
#define _GNU_SOURCE

#include "checker.h"
#include "launch.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define EXIT_BAD_REQUIREMENT 2
#define POLL_SLICE_MS 10 /* how soon an exit is seen when something else holds the pipe open */

static void unavailable(struct checker_answer *answer, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void unavailable(struct checker_answer *answer, const char *format, ...)
{
	va_list args;

	answer->verdict = CHECKER_UNAVAILABLE;
	va_start(args, format);
	vsnprintf(answer->why, sizeof(answer->why), format, args);
	va_end(args);
}

static long long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Read until the pipe is empty, at most until `deadline`. False at its end. */
static bool drain(int fd, struct checker_answer *answer, long long deadline)
{
	char block[4096];
	size_t room, take;
	ssize_t got;

	do {
		got = read(fd, block, sizeof(block));
		if (got > 0) {
			room = CHECKER_TEXT_MAX - answer->text_len;
			take = (size_t)got < room ? (size_t)got : room;
			memcpy(answer->text + answer->text_len, block, take);
			answer->text_len += take;
		} else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
			return false;
		} else if (errno == EAGAIN) {
			return true;
		}
	} while (now_ms() < deadline);
	return true;
}

/* Has it exited? It stays a zombie, so that its process group can't become somebody else's. */
static bool has_exited(pid_t child)
{
	siginfo_t info;

	memset(&info, 0, sizeof(info));
	if (waitid(P_PID, (id_t)child, &info, WEXITED | WNOHANG | WNOWAIT) < 0)
		return errno != EINTR;
	return info.si_pid != 0;
}

/* Wait for the exit, reading stderr meanwhile. False when the time is up first. */
static bool wait_for_exit(pid_t child, int fd, struct checker_answer *answer)
{
	long long deadline = now_ms() + CHECKER_RUN_MS;
	struct pollfd watched = {.fd = fd, .events = POLLIN};

	for (;;) {
		if (has_exited(child)) {
			/* A process it left behind may hold the pipe, so don't wait for the end of it. */
			if (watched.fd >= 0)
				drain(fd, answer, now_ms() + POLL_SLICE_MS);
			return true;
		}
		if (now_ms() >= deadline)
			return false;
		/* A negative descriptor is ignored: from then on poll is a short sleep. */
		if (poll(&watched, 1, watched.fd < 0 ? 1 : POLL_SLICE_MS) > 0 && !drain(fd, answer, deadline))
			watched.fd = -1;
	}
}

/* End the group and collect the child. False when it can't be told how it ended. */
static bool end_group(pid_t child, int *status)
{
	long long deadline = now_ms() + CHECKER_REAP_MS;
	struct timespec pause = {.tv_nsec = 2000000};
	pid_t got;

	kill(-child, SIGKILL);
	for (;;) {
		got = waitpid(child, status, WNOHANG);
		if (got == child)
			return true;
		/* A child in an uninterruptible wait is left to init: it can't be waited for. */
		if ((got < 0 && errno != EINTR) || now_ms() >= deadline)
			return false;
		nanosleep(&pause, NULL);
	}
}

/*
 * Exit status 2 is also what Click and Python say when the installation is at fault (a subcommand or an
 * option that is not there, a script that is gone): only a message about the requirement refuses a job.
 */
static bool speaks_of_requirement(const struct checker_answer *answer)
{
	const char *line_end = strchrnul(answer->text, '\n');
	const char *missing = strstr(answer->text, "can't open file '");

	if (answer->text[strspn(answer->text, " \t\r\n")] == '\0')
		return false;
	if (strncmp(answer->text, "Usage:", 6) == 0)
		return false;
	return !(missing && missing < line_end && strncmp(answer->text, "preflight", 9) != 0);
}

static void judge(struct checker_answer *answer, int status, int exec_errno)
{
	if (exec_errno)
		unavailable(answer, "it cannot be run: %s", strerror(exec_errno));
	else if (WIFSIGNALED(status))
		unavailable(answer, "it was ended by signal %d", WTERMSIG(status));
	else if (!WIFEXITED(status))
		unavailable(answer, "its end is unknown");
	else if (WEXITSTATUS(status) == 0)
		answer->verdict = CHECKER_ACCEPTED;
	else if (WEXITSTATUS(status) == EXIT_BAD_REQUIREMENT && speaks_of_requirement(answer))
		answer->verdict = CHECKER_REFUSED;
	else
		unavailable(answer, "it exited with status %d", WEXITSTATUS(status));
}

static void supervise(pid_t child, const struct launch *launch, struct checker_answer *answer)
{
	int status = 0;
	bool in_time, collected;

	in_time = wait_for_exit(child, launch->pipe_read, answer);
	collected = end_group(child, &status);
	answer->text[answer->text_len] = '\0';
	if (!in_time)
		unavailable(answer, "it gave no answer within %.1f seconds", CHECKER_RUN_MS / 1000.0);
	else if (!collected)
		unavailable(answer, "its exit status was lost");
	else
		judge(answer, status, *launch->exec_errno);
}

void checker_run(const char *program, const char *spec, struct checker_answer *answer)
{
	struct launch launch;
	struct sigaction old, standard = {.sa_handler = SIG_DFL};
	pid_t child;

	memset(answer, 0, sizeof(*answer));
	/* A shell with `trap '' CHLD` hands down an ignored SIGCHLD, and then no exit status is kept. */
	sigaction(SIGCHLD, NULL, &old);
	if (old.sa_handler == SIG_IGN || (old.sa_flags & SA_NOCLDWAIT))
		sigaction(SIGCHLD, &standard, NULL);

	child = launch_start(&launch, program, spec);
	if (child > 0)
		supervise(child, &launch, answer);
	else
		unavailable(answer, "cannot start a process: %s", strerror(errno));

	launch_end(&launch);
	sigaction(SIGCHLD, &old, NULL);
}
