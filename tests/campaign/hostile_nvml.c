/* A library that is no friend: built once for each HOW. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

enum { CRASH_AT_LOAD = 1, EXIT_AT_LOAD, HANG_AT_LOAD, ABORT_AT_INIT, EXIT_AT_INIT, SPIN_AT_INIT, STOP_AT_INIT, KILL_AT_INIT,
       HUGE_COUNT, NEGATIVE_COUNT, MILLION, CLOSES_ALL, WRITES_ALL, BLOCKS_SIGNALS, EATS_MEMORY, FORKS, LONG_TEXT, NO_NUL,
       BAD_UTF8, GARBAGE, CRASH_AT_NAME, CRASH_AT_COUNT, EXIT_ZERO, ALARM_OFF, UNKNOWN_CODE, CHDIR, DEEP_STACK, NO_SYMBOLS };

#define API __attribute__((visibility("default"))) int
static void act(int when) {
    if (when == 0) {
        if (HOW == CRASH_AT_LOAD) *(volatile int *)0 = 1;
        if (HOW == EXIT_AT_LOAD) _exit(3);
        if (HOW == HANG_AT_LOAD) for (;;) pause();
        return;
    }
    switch (HOW) {
    case ABORT_AT_INIT: abort();
    case EXIT_AT_INIT: _exit(7);
    case EXIT_ZERO: _exit(0);
    case SPIN_AT_INIT: for (;;) {}
    case STOP_AT_INIT: raise(SIGSTOP); break;
    case KILL_AT_INIT: raise(SIGKILL); break;
    case CLOSES_ALL: for (int fd = 0; fd < 1024; fd++) close(fd); break;
    case WRITES_ALL: for (int fd = 0; fd < 64; fd++) if (write(fd, "@0 \xff\n{{{\n", 9)) {} break;
    case BLOCKS_SIGNALS: { sigset_t all; sigfillset(&all); sigprocmask(SIG_BLOCK, &all, NULL); for (;;) pause(); }
    case ALARM_OFF: { alarm(0); signal(SIGALRM, SIG_IGN); signal(SIGTERM, SIG_IGN); for (;;) pause(); }
    case EATS_MEMORY: { struct rlimit most = {1 << 28, 1 << 28}; setrlimit(RLIMIT_AS, &most); break; }
    case FORKS: for (int n = 0; n < 20; n++) if (fork() == 0) { setsid(); sleep(600); _exit(0); } break;
    case CHDIR: if (chdir("/") || setsid()) {} umask(0); break;
    }
}
static int deep(int n) { volatile char take[4096]; take[0] = n; return n ? deep(n + 1) + take[0] : 0; }
__attribute__((constructor)) static void load(void) { act(0); }

#if HOW != 28
API nvmlInitWithFlags(unsigned flags) { act(1); return HOW == UNKNOWN_CODE ? 123456 : HOW == DEEP_STACK ? deep(1) : 0; }
API nvmlInit_v2(void) { return nvmlInitWithFlags(0); }
API nvmlShutdown(void) { return 0; }
API nvmlSystemGetDriverVersion(char *into, unsigned size) {
    memset(into, HOW == NO_NUL || HOW == LONG_TEXT ? '9' : HOW == BAD_UTF8 || HOW == GARBAGE ? 0xfe : 0, size);
    if (HOW != NO_NUL) into[size - 1] = 0;
    if (HOW < LONG_TEXT) strcpy(into, "550.54.15");
    return 0;
}
API nvmlSystemGetCudaDriverVersion_v2(int *version) { *version = HOW == GARBAGE ? -2147483647 : 12040; return 0; }
API nvmlDeviceGetCount_v2(unsigned *count) {
    if (HOW == CRASH_AT_COUNT) *(volatile int *)0 = 1;
    *count = HOW == HUGE_COUNT ? 0xffffffffu : HOW == NEGATIVE_COUNT ? 0x80000000u : HOW == MILLION ? 1000000 : 2;
    return 0;
}
API nvmlDeviceGetHandleByIndex_v2(unsigned index, void **handle) { *handle = (void *)(long)(index + 1); return 0; }
API nvmlDeviceGetName(void *handle, char *into, unsigned size) {
    if (HOW == CRASH_AT_NAME) *(volatile int *)0 = 1;
    memset(into, HOW == BAD_UTF8 || HOW == GARBAGE ? 0xfe : 'x', size);
    if (HOW != NO_NUL) into[size - 1] = 0;
    return 0;
}
API nvmlDeviceGetUUID(void *handle, char *into, unsigned size) { return nvmlDeviceGetName(handle, into, size); }
API nvmlDeviceGetMinorNumber(void *handle, unsigned *minor) { *minor = HOW == GARBAGE ? 0xfffffffeu : (long)handle - 1; return 0; }
API nvmlDeviceGetMemoryInfo(void *handle, unsigned long long *into) { into[0] = into[1] = into[2] = ~0ull; return 0; }
API nvmlDeviceGetTemperature(void *handle, int which, unsigned *into) { *into = 0xffffffffu; return 0; }
API nvmlDeviceGetCudaComputeCapability(void *handle, int *major, int *minor) { *major = -1; *minor = 2147483647; return 0; }
API nvmlDeviceGetPciInfo_v3(void *handle, char *into) { memset(into, 0xfe, 68); return 0; }
#endif
