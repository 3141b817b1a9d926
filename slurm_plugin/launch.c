/*
 * Start the checking program: everything up to its execve.
 *
 * srun may have other threads, so the child only makes async-signal-safe calls between fork and exec:
 * whatever needs memory (argument list, environment) is made before.
 */
#define _GNU_SOURCE

#include "launch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CLOSE_LOOP_MAX 65536 /* descriptors closed one by one on kernels without close_range */

extern char **environ;

/*
 * Variables that change how an interpreter, the loader or a shell starts: a user's PYTHONPATH or a
 * site's BASH_ENV has broken or slowed more than one program that only meant to say yes or no.
 */
static bool is_dropped(const char *entry)
{
	static const char *const prefixes[] = {"PYTHON", "LD_", "BASH_ENV=", "BASH_FUNC_", "ENV="};
	size_t i;

	for (i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		if (strncmp(entry, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	return false;
}

/* The user's environment without the dropped variables; NULL when memory is short. Free the array only. */
static char **clean_environment(void)
{
	size_t count = 0, kept = 0, i;
	char **envp;

	while (environ && environ[count])
		count++;
	envp = calloc(count + 1, sizeof(*envp));
	if (!envp)
		return NULL;
	for (i = 0; i < count; i++)
		if (!is_dropped(environ[i]))
			envp[kept++] = environ[i];
	return envp;
}

/* Move a descriptor above 2: a caller that was started with stdin closed gets 0 from open and pipe. */
static int above_stdio(int fd)
{
	int moved;

	if (fd < 0 || fd > 2)
		return fd;
	moved = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	close(fd);
	return moved;
}

static void close_from_3(void)
{
	struct rlimit limit;
	int fd, end = CLOSE_LOOP_MAX;

#ifdef SYS_close_range
	if (syscall(SYS_close_range, 3U, ~0U, 0U) == 0)
		return;
#endif
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < CLOSE_LOOP_MAX)
		end = (int)limit.rlim_cur;
	for (fd = 3; fd < end; fd++)
		close(fd);
}

/* In the child: no lock, no allocation, no stdio. */
static void __attribute__((noreturn)) become_program(const struct launch *launch, char *const argv[])
{
	struct sigaction action;
	sigset_t none;
	int number;

	setpgid(0, 0);
	/* Should the caller be interrupted, the program ends with it. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != launch->parent)
		_exit(127);

	memset(&action, 0, sizeof(action));
	action.sa_handler = SIG_DFL;
	for (number = 1; number < NSIG; number++)
		sigaction(number, &action, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);

	if (dup2(launch->null_fd, 0) < 0 || dup2(launch->null_fd, 1) < 0 || dup2(launch->pipe_write, 2) < 0) {
		*launch->exec_errno = errno;
		_exit(127);
	}
	close_from_3();
	execve(argv[0], argv, launch->envp);
	*launch->exec_errno = errno;
	_exit(127);
}

/* False with errno set when the machine is short of something; launch_end() in either case. */
static bool prepare(struct launch *launch)
{
	int ends[2];
	void *shared;

	launch->null_fd = launch->pipe_read = launch->pipe_write = -1;
	launch->exec_errno = NULL;
	launch->parent = getpid();
	launch->envp = clean_environment();
	if (!launch->envp)
		return false;

	shared = mmap(NULL, sizeof(int), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return false;
	launch->exec_errno = shared;

	launch->null_fd = above_stdio(open("/dev/null", O_RDWR | O_CLOEXEC));
	if (launch->null_fd < 0 || pipe2(ends, O_CLOEXEC) < 0)
		return false;
	launch->pipe_read = above_stdio(ends[0]);
	launch->pipe_write = above_stdio(ends[1]);
	return launch->pipe_read >= 0 && launch->pipe_write >= 0 &&
	       fcntl(launch->pipe_read, F_SETFL, O_NONBLOCK) == 0;
}

pid_t launch_start(struct launch *launch, const char *program, const char *spec)
{
	char *const argv[] = {(char *)program, "require", "--to", "json", "--", (char *)spec, NULL};
	sigset_t all, before;
	int fault = 0;
	pid_t child;

	if (!prepare(launch))
		return -1;

	/* The caller's signal handlers must not run in the child. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	child = fork();
	if (child == 0)
		become_program(launch, argv);
	fault = errno;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (child < 0) {
		errno = fault;
		return -1;
	}

	/* Both sides do this: whichever is first, the group exists before it can be needed. */
	setpgid(child, child);
	close(launch->pipe_write);
	launch->pipe_write = -1;
	return child;
}

void launch_end(struct launch *launch)
{
	if (launch->exec_errno)
		munmap((void *)launch->exec_errno, sizeof(int));
	if (launch->null_fd >= 0)
		close(launch->null_fd);
	if (launch->pipe_read >= 0)
		close(launch->pipe_read);
	if (launch->pipe_write >= 0)
		close(launch->pipe_write);
	free(launch->envp);
}
