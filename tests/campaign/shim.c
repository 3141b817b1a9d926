/* Faults between a hook and the C library, by LD_PRELOAD. Commands of Slurm run in an environment of their own, without it.

   FAULT_SHIM = "OPS|GLOB|NTH|MODE|ARGUMENT"
     OPS    names with commas: open read write rename unlink mkdir rmdir fsync stat access list chown chmod utime
            readlink statvfs truncate; and without a path: fork pipe memfd mmap spawn socket
     GLOB   fnmatch of the absolute path; of "-" for those without one
     NTH    the call of each process that it befalls, 0: every one
     MODE   errno N | short N (bytes) | eof | torn N (half is written, then errno N) | slow MS | hang | kill
   FAULT_TRACE = FILE    each call of a path, one line "OP PATH"
   FAULT_CLOCK = "SECONDS|CALLS"   CLOCK_REALTIME is so far off, from that call of it on
   FAULT_HIT = FILE      what FAULT_SHIM befell, a line each
   FAULT_LOG = SOCKET    takes the place of /dev/log
*/
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static char ops[512], glob[1024], mode[16];
static long nth, argument, seen, offset, from_call, clock_calls;
static const char *trace, *place, *hit;
static int armed;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

__attribute__((constructor)) static void begin(void) {
    const char *fault = getenv("FAULT_SHIM"), *clock = getenv("FAULT_CLOCK");
    trace = getenv("FAULT_TRACE");
    place = getenv("FAULT_LOG");
    hit = getenv("FAULT_HIT");
    if (fault) {
        char copy[2048], *rest = copy, *part;
        snprintf(copy, sizeof copy, "%s", fault);
        if ((part = strsep(&rest, "|"))) snprintf(ops, sizeof ops, ",%s,", part);
        if ((part = strsep(&rest, "|"))) snprintf(glob, sizeof glob, "%s", part);
        if ((part = strsep(&rest, "|"))) nth = atol(part);
        if ((part = strsep(&rest, "|"))) snprintf(mode, sizeof mode, "%s", part);
        if ((part = strsep(&rest, "|"))) argument = atol(part);
        armed = 1;
    }
    if (clock) {
        char *end;
        offset = strtol(clock, &end, 10);
        from_call = *end == '|' ? atol(end + 1) : 0;
    }
}

static const char *whole(int directory, const char *path, char *into) {
    if (path && path[0] == '/') return path;
    char link[64];
    ssize_t got = 0;
    if (directory == AT_FDCWD)
        strcpy(link, "/proc/self/cwd");
    else
        snprintf(link, sizeof link, "/proc/self/fd/%d", directory);
    got = syscall(SYS_readlinkat, AT_FDCWD, link, into, 4000);
    if (got < 0) got = 0;
    into[got] = 0;
    if (path && *path) snprintf(into + got, 4096 - got, "/%.90s", path);
    return into;
}

static void noted(const char *where, const char *op, const char *name) {
    char line[4400];
    int length = snprintf(line, sizeof line, "%s %s\n", op, name);
    int file = syscall(SYS_openat, AT_FDCWD, where, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0) return;
    syscall(SYS_write, file, line, length);
    syscall(SYS_close, file);
}

/* What befalls this call: 0 nothing, 1 its errno is set, 2 short, 3 end of file, 4 torn. */
static int befalls(const char *op, int directory, const char *path, int without) {
    if (!armed && !trace) return 0;
    char into[4200], wrapped[40];
    int before = errno;
    const char *name = without ? "-" : whole(directory, path, into);
    if (trace && !without) noted(trace, op, name);
    errno = before;
    snprintf(wrapped, sizeof wrapped, ",%s,", op);
    if (!armed || !strstr(ops, wrapped) || fnmatch(glob, name, 0)) return 0;
    if (nth && __sync_add_and_fetch(&seen, 1) != nth) return 0;
    if (hit) noted(hit, op, name);
    if (!strcmp(mode, "kill")) syscall(SYS_kill, syscall(SYS_getpid), SIGKILL);
    if (!strcmp(mode, "hang"))
        for (;;) syscall(SYS_pause);
    if (!strcmp(mode, "slow")) {
        struct timespec wait = {argument / 1000, argument % 1000 * 1000000};
        while (syscall(SYS_nanosleep, &wait, &wait)) {}
        return 0;
    }
    if (!strcmp(mode, "short")) return 2;
    if (!strcmp(mode, "eof")) return 3;
    errno = argument;
    return !strcmp(mode, "torn") ? 4 : 1;
}

#define PATHS(op, directory, path, failed) \
    if (befalls(op, directory, path, 0) == 1) return failed

static int opened(int directory, const char *path, int flags, mode_t bits) {
    PATHS("open", directory, path, -1);
    return syscall(SYS_openat, directory, path, flags, bits);
}
#define BITS                       \
    va_list list;                  \
    va_start(list, flags);         \
    mode_t bits = va_arg(list, int); \
    va_end(list)
int open(const char *path, int flags, ...) { BITS; return opened(AT_FDCWD, path, flags, bits); }
int open64(const char *path, int flags, ...) { BITS; return opened(AT_FDCWD, path, flags, bits); }
int openat(int at, const char *path, int flags, ...) { BITS; return opened(at, path, flags, bits); }
int openat64(int at, const char *path, int flags, ...) { BITS; return opened(at, path, flags, bits); }

ssize_t read(int file, void *into, size_t size) {
    int what = befalls("read", file, NULL, 0);
    if (what == 1) return -1;
    if (what == 3) return 0;
    if (what == 2 && size > (size_t)argument) size = argument;
    return syscall(SYS_read, file, into, size);
}
ssize_t write(int file, const void *from, size_t size) {
    int what = befalls("write", file, NULL, 0);
    if (what == 1) return -1;
    if (what == 2 && size > (size_t)argument) size = argument;
    if (what == 4) {
        syscall(SYS_write, file, from, size / 2);
        errno = argument;
        return -1;
    }
    return syscall(SYS_write, file, from, size);
}
int rename(const char *from, const char *to) { PATHS("rename", AT_FDCWD, to, -1); return syscall(SYS_rename, from, to); }
int renameat(int a, const char *from, int b, const char *to) {
    PATHS("rename", b, to, -1);
    return syscall(SYS_renameat2, a, from, b, to, 0);
}
int unlink(const char *path) { PATHS("unlink", AT_FDCWD, path, -1); return syscall(SYS_unlinkat, AT_FDCWD, path, 0); }
int unlinkat(int at, const char *path, int flags) {
    PATHS("unlink", at, path, -1);
    return syscall(SYS_unlinkat, at, path, flags);
}
int rmdir(const char *path) { PATHS("rmdir", AT_FDCWD, path, -1); return syscall(SYS_unlinkat, AT_FDCWD, path, AT_REMOVEDIR); }
int mkdir(const char *path, mode_t bits) { PATHS("mkdir", AT_FDCWD, path, -1); return syscall(SYS_mkdirat, AT_FDCWD, path, bits); }
int mkdirat(int at, const char *path, mode_t bits) { PATHS("mkdir", at, path, -1); return syscall(SYS_mkdirat, at, path, bits); }
int fsync(int file) { PATHS("fsync", file, NULL, -1); return syscall(SYS_fsync, file); }
int stat64(const char *path, struct stat64 *out) { PATHS("stat", AT_FDCWD, path, -1); return REAL(stat64)(path, out); }
int lstat64(const char *path, struct stat64 *out) { PATHS("stat", AT_FDCWD, path, -1); return REAL(lstat64)(path, out); }
int fstat64(int file, struct stat64 *out) { PATHS("stat", file, NULL, -1); return REAL(fstat64)(file, out); }
int fstatat64(int at, const char *path, struct stat64 *out, int flags) {
    PATHS("stat", at, path, -1);
    return REAL(fstatat64)(at, path, out, flags);
}
int access(const char *path, int how) { PATHS("access", AT_FDCWD, path, -1); return syscall(SYS_faccessat, AT_FDCWD, path, how); }
DIR *opendir(const char *path) { PATHS("list", AT_FDCWD, path, NULL); return REAL(opendir)(path); }
DIR *fdopendir(int file) { PATHS("list", file, NULL, NULL); return REAL(fdopendir)(file); }
int fchown(int file, uid_t user, gid_t group) { PATHS("chown", file, NULL, -1); return syscall(SYS_fchown, file, user, group); }
int chown(const char *path, uid_t user, gid_t group) {
    PATHS("chown", AT_FDCWD, path, -1);
    return syscall(SYS_fchownat, AT_FDCWD, path, user, group, 0);
}
int fchmod(int file, mode_t bits) { PATHS("chmod", file, NULL, -1); return syscall(SYS_fchmod, file, bits); }
int utimensat(int at, const char *path, const struct timespec times[2], int flags) {
    PATHS("utime", at, path, -1);
    return syscall(SYS_utimensat, at, path, times, flags);
}
ssize_t readlink(const char *path, char *into, size_t size) {
    PATHS("readlink", AT_FDCWD, path, -1);
    return syscall(SYS_readlinkat, AT_FDCWD, path, into, size);
}
ssize_t readlinkat(int at, const char *path, char *into, size_t size) {
    PATHS("readlink", at, path, -1);
    return syscall(SYS_readlinkat, at, path, into, size);
}
int statvfs64(const char *path, struct statvfs64 *out) { PATHS("statvfs", AT_FDCWD, path, -1); return REAL(statvfs64)(path, out); }
int ftruncate64(int file, off64_t size) { PATHS("truncate", file, NULL, -1); return syscall(SYS_ftruncate, file, size); }

#define NOWHERE(op, failed) \
    if (befalls(op, 0, NULL, 1) == 1) return failed
pid_t fork(void) { NOWHERE("fork", -1); return REAL(fork)(); }
int pipe(int both[2]) { NOWHERE("pipe", -1); return syscall(SYS_pipe2, both, 0); }
int pipe2(int both[2], int flags) { NOWHERE("pipe", -1); return syscall(SYS_pipe2, both, flags); }
int memfd_create(const char *name, unsigned flags) { NOWHERE("memfd", -1); return syscall(SYS_memfd_create, name, flags); }
int socket(int domain, int type, int protocol) { NOWHERE("socket", -1); return syscall(SYS_socket, domain, type, protocol); }
void *mmap64(void *at, size_t size, int how, int flags, int file, off64_t from) {
    if (size == 16 << 20 && befalls("mmap", 0, NULL, 1) == 1) return MAP_FAILED; /* a probe's board */
    return (void *)syscall(SYS_mmap, at, size, how, flags, file, from);
}
int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *more,
                char *const argv[], char *const env[]) {
    if (befalls("spawn", 0, NULL, 1) == 1) return argument;
    return REAL(posix_spawn)(pid, path, actions, more, argv, env);
}

int clock_gettime(clockid_t which, struct timespec *now) {
    int done = syscall(SYS_clock_gettime, which, now);
    if (which == CLOCK_REALTIME && offset && __sync_add_and_fetch(&clock_calls, 1) > from_call) now->tv_sec += offset;
    return done;
}
time_t time(time_t *into) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (into) *into = now.tv_sec;
    return now.tv_sec;
}

int connect(int file, const struct sockaddr *to, socklen_t size) {
    const struct sockaddr_un *name = (const void *)to;
    struct sockaddr_un ours = {.sun_family = AF_UNIX};
    if (place && to->sa_family == AF_UNIX && !strcmp(name->sun_path, "/dev/log")) {
        snprintf(ours.sun_path, sizeof ours.sun_path, "%s", place);
        return syscall(SYS_connect, file, &ours, sizeof ours);
    }
    return syscall(SYS_connect, file, to, size);
}
