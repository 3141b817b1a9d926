/* Stands in for every program that a generated script starts: it logs its words and the script's line, then starts what
 * a launcher would start outside of a container. $LOGFILE: records "LINE US NAME US WORD … RS". $SEED: what questions
 * answer. Everything else succeeds. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOST (1 << 18)

static const char *base(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static int starts(const char *text, const char *prefix) { return !strncmp(text, prefix, strlen(prefix)); }

static void record(int argc, char **argv) {
    static char text[1 << 16];
    size_t at = 0;
    const char *line = getenv("LN");
    at += (size_t)snprintf(text, sizeof text, "%s\x1f%s", line ? line : "0", base(argv[0]));
    for (int i = 1; i < argc && at + strlen(argv[i]) + 4 < sizeof text; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "\x1f%s", argv[i]);
    text[at++] = '\x1e';
    const char *file = getenv("LOGFILE");
    int out = file ? open(file, O_WRONLY | O_CREAT | O_APPEND, 0600) : -1;
    if (out >= 0 && write(out, text, at) < 0) _exit(99);
    if (out >= 0 && lseek(out, 0, SEEK_END) > MOST) kill(0, SIGKILL); /* a script that starts programs without end */
}

static unsigned answer(int argc, char **argv) {
    const char *seed = getenv("SEED");
    unsigned found = seed ? (unsigned)atoi(seed) * 2654435761u : 0;
    for (int i = 0; i < argc; i++)
        for (const char *c = base(argv[i]); *c; c++) found = (found ^ (unsigned)*c) * 16777619u;
    return (found >> 13) & 1;
}

/* Reads what a pipe gives: a writer whose reader is gone would end early. */
static void drain(void) {
    struct stat in;
    char text[4096];
    if (!fstat(0, &in) && S_ISFIFO(in.st_mode))
        while (read(0, text, sizeof text) > 0) {
        }
}

/* The first word that is no option of a launcher's; 0 where the command runs in a container, or there is none. */
static int command(int argc, char **argv) {
    int contained = 0, at = 1;
    for (; at < argc && argv[at][0] == '-'; at++) {
        if (starts(argv[at], "--container-image")) contained = 1;
        if (!strcmp(argv[at], "-n") || !strcmp(argv[at], "-w") || !strcmp(argv[at], "-np") ||
            !strcmp(argv[at], "--container-image"))
            at++;
    }
    return contained || at >= argc ? 0 : at;
}

int main(int argc, char **argv) {
    const char *name = base(argv[0]);
    record(argc, argv);
    if (!strcmp(name, "hostname")) puts("host1");
    if (!strcmp(name, "grep") || !strcmp(name, "module")) drain();
    if (!strcmp(name, "grep") || starts(name, "check") || !strcmp(name, "nvidia-smi")) return (int)answer(argc, argv);
    if (!strcmp(name, "srun") || !strcmp(name, "mpirun") || !strcmp(name, "nohup")) {
        int at = command(argc, argv);
        if (at) {
            execvp(argv[at], argv + at);
            return 127;
        }
    }
    drain();
    return 0;
}
