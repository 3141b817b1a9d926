/* Preflight's client: asks the node agent whether a prolog or epilog has anything to do, and is the one-shot hook where
 * it may.
 *
 * It is the interpreter of the script that slurm.conf names (Prolog=, Epilog=), and reads its settings there:
 *
 *     #!/opt/preflight/libexec/preflight-client
 *     run-dir /run/preflight
 *     version 1.0
 *     wait-ms 250
 *     longest-ms 2500
 *     phase prolog
 *     otherwise /opt/preflight/libexec/prolog
 *
 * It ends with 0 where the agent answers "pass" in time. Whatever else happens, an absent agent, one of another version
 * or of another user, a late or malformed answer, it becomes the script `otherwise`, which is given the instant at which
 * this began: the wait counts towards its deadline. It decides nothing itself and never ends with anything but 0.
 * docs/agent.md has the protocol.
 */
#define _GNU_SOURCE
#include "common.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#ifndef WAIT_MAX_MS
#define WAIT_MAX_MS 1000 /* as the policy's rule has it */
#endif

enum { REQUEST_MAX = 1 << 16, SETTINGS_MAX = 8192, HEADER = 4, LONGER = 10 };
/* However patient the policy is; the script says less where a hook has less than twice that. */
#define LONGEST_MS (4 * WAIT_MAX_MS)

_Static_assert(sizeof "preflight-agent 1 pass\n" == sizeof "preflight-agent 1 wait\n", "answers of one length");

static const char HELLO[] = "preflight-agent 1 ";
static const char PASS[] = "preflight-agent 1 pass\n";
static const char WAIT[] = "preflight-agent 1 wait\n"; /* as long as the other */
static const char TAKEN[] = "taken\n";

struct settings {
    const char *run_dir, *version, *phase, *otherwise;
    long wait_ms, longest_ms; /* the second where the agent says that it takes longer */
};

static struct timespec began;
static char request[HEADER + REQUEST_MAX];
static size_t used = HEADER;

/* Milliseconds that are left of `wait_ms`, 0 where none are. */
static int left_ms(long wait_ms) {
    struct timespec now;
    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0)
        return 0;
    long spent = (now.tv_sec - began.tv_sec) * 1000 + (now.tv_nsec - began.tv_nsec) / 1000000;
    return spent < 0 || spent >= wait_ms ? 0 : (int)(wait_ms - spent);
}

/* Take the settings out of the script's text, which they stay in; false where one is missing. */
static bool read_settings(char *text, struct settings *out) {
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        char *value = strchr(line, ' ');
        if (line[0] == '#' || value == NULL)
            continue;
        *value++ = '\0';
        if (strcmp(line, "run-dir") == 0)
            out->run_dir = value;
        else if (strcmp(line, "version") == 0)
            out->version = value;
        else if (strcmp(line, "phase") == 0)
            out->phase = value;
        else if (strcmp(line, "otherwise") == 0)
            out->otherwise = value;
        else if (strcmp(line, "wait-ms") == 0 && is_number(value))
            out->wait_ms = strtol(value, NULL, 10);
        else if (strcmp(line, "longest-ms") == 0 && is_number(value))
            out->longest_ms = strtol(value, NULL, 10);
    }
    if (out->wait_ms > WAIT_MAX_MS)
        out->wait_ms = WAIT_MAX_MS;
    if (out->longest_ms <= 0 || out->longest_ms > LONGEST_MS)
        out->longest_ms = out->wait_ms * LONGER < LONGEST_MS ? out->wait_ms * LONGER : LONGEST_MS;
    if (out->wait_ms > out->longest_ms)
        out->wait_ms = out->longest_ms;
    return out->run_dir && out->version && out->otherwise && out->wait_ms > 0 &&
           (strcmp(out->phase, "prolog") == 0 || strcmp(out->phase, "epilog") == 0);
}

static bool add(const char *text) {
    size_t length = strlen(text) + 1;
    if (length > sizeof request - used)
        return false;
    memcpy(request + used, text, length);
    used += length;
    return true;
}

/* What Slurm tells a prolog, and nothing else of the environment. */
static bool is_slurms(const char *variable) {
    static const char *const starts[] = {"SLURM", "SPANK__SLURM_SPANK_OPTION_preflight_", "CUDA_VISIBLE_DEVICES=", NULL};
    for (const char *const *one = starts; *one != NULL; one++)
        if (strncmp(variable, *one, strlen(*one)) == 0)
            return true;
    return false;
}

/* The request: its length as 4 bytes, then "preflight-agent 1 VERSION PHASE SECONDS" and the variables, each ended by a
 * NUL. SECONDS: of the monotonic clock, by which the answer must be there. */
static bool make_request(const struct settings *settings) {
    char first[256];
    struct timespec until = began;
    until.tv_sec += settings->wait_ms / 1000;
    until.tv_nsec += settings->wait_ms % 1000 * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000L;
    }
    int length = snprintf(first, sizeof first, "%s%s %s %lld.%09ld", HELLO, settings->version, settings->phase,
                          (long long)until.tv_sec, until.tv_nsec);
    if (length < 0 || (size_t)length >= sizeof first || !add(first))
        return false;
    for (char **variable = environ; *variable != NULL; variable++)
        if (is_slurms(*variable) && !add(*variable))
            return false;
    uint32_t body = (uint32_t)(used - HEADER);
    for (int byte = 0; byte < HEADER; byte++)
        request[byte] = (char)(body >> (8 * (HEADER - 1 - byte)) & 0xff);
    return true;
}

/* Wait until the agent's end is ready. What is there already counts though the time is over: on a node that has much to
 * do it was this program that came late. */
static bool wait_for(int agent, short events, long wait_ms) {
    struct pollfd one = {.fd = agent, .events = events};
    for (;;) {
        int ready = poll(&one, 1, left_ms(wait_ms));
        if (ready > 0)
            return (one.revents & events) != 0;
        if (ready == 0 || errno != EINTR)
            return false;
    }
}

/* Connect to the agent's socket; -1 where nobody listens. A full queue is tried again: many jobs start at once. */
static int connected(const struct settings *settings, const char *node) {
    struct sockaddr_un place = {.sun_family = AF_UNIX};
    const char *const pieces[] = {settings->run_dir, "/agent/", node, ".sock", NULL};
    if (!is_node_name(node) || !joined(place.sun_path, sizeof place.sun_path, pieces))
        return -1;
    int agent = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (agent < 0)
        return -1;
    while (connect(agent, (struct sockaddr *)&place, sizeof place) != 0) {
        if ((errno != EAGAIN && errno != EINTR) || left_ms(settings->wait_ms) <= 2) {
            close(agent);
            return -1;
        }
        poll(NULL, 0, 2);
    }
    return agent;
}

static bool is_roots(int agent) {
    struct ucred peer = {.uid = (uid_t)-1};
    socklen_t size = sizeof peer;
    return getsockopt(agent, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && size == sizeof peer && peer.uid == 0;
}

static bool send_request(int agent, long wait_ms) {
    for (size_t sent = 0; sent < used;) {
        ssize_t some = send(agent, request + sent, used - sent, MSG_NOSIGNAL);
        if (some > 0)
            sent += (size_t)some;
        else if (errno == EAGAIN ? !wait_for(agent, POLLOUT, wait_ms) : errno != EINTR)
            return false;
    }
    return true;
}

/* Read exactly one answer into `answer`; false where none comes in time, or more than one. */
static bool read_answer(int agent, char *answer, size_t length, long wait_ms) {
    size_t got = 0;
    while (got < length) {
        if (!wait_for(agent, POLLIN, wait_ms))
            return false;
        ssize_t some = recv(agent, answer + got, length - got, 0);
        if (some > 0)
            got += (size_t)some;
        else if (some == 0 || (errno != EAGAIN && errno != EINTR))
            return false;
    }
    return true;
}

/* Whether the one answer came that lets the job start, in time, and the agent knows that we took it. An agent that has
 * many to answer says once that it is there, and gets longer. */
static bool passes(int agent, const struct settings *settings) {
    char answer[sizeof PASS - 1];
    if (!read_answer(agent, answer, sizeof answer, settings->wait_ms))
        return false;
    if (memcmp(answer, WAIT, sizeof answer) == 0 && !read_answer(agent, answer, sizeof answer, settings->longest_ms))
        return false;
    char more;
    if (memcmp(answer, PASS, sizeof answer) != 0 || recv(agent, &more, 1, 0) >= 0 || left_ms(LONGEST_MS) == 0)
        return false;
    return send(agent, TAKEN, sizeof TAKEN - 1, MSG_NOSIGNAL) == (ssize_t)sizeof TAKEN - 1;
}

static bool asked_and_passed(const struct settings *settings) {
    const char *node = getenv("SLURMD_NODENAME");
    if (node == NULL || !make_request(settings))
        return false;
    int agent = connected(settings, node);
    if (agent < 0)
        return false;
    bool pass = is_roots(agent) && send_request(agent, settings->wait_ms) && passes(agent, settings);
    close(agent);
    return pass;
}

int main(int count, char **arguments) {
    static char text[SETTINGS_MAX];
    struct settings settings = {.phase = "prolog"};
    if (clock_gettime(CLOCK_MONOTONIC, &began) != 0)
        memset(&began, 0, sizeof began);
    if (count == 2 && strcmp(arguments[1], "--version") == 0)
        return puts("preflight-client 1") < 0;
    if (count < 2 || read_file(arguments[1], text, sizeof text) < 0 || !read_settings(text, &settings)) {
        say("the script of preflight-client lacks settings: not checked, the job goes on (preflight install)");
        return 0;
    }
    if (asked_and_passed(&settings))
        return 0;
    char instant[64];
    int length = snprintf(instant, sizeof instant, "%lld.%09ld", (long long)began.tv_sec, began.tv_nsec);
    if (began.tv_sec > 0 && length > 0 && (size_t)length < sizeof instant)
        setenv("PREFLIGHT_BEGAN", instant, 1);
    char *command[] = {(char *)(uintptr_t)settings.otherwise, NULL};
    execv(command[0], command);
    say("the one-shot hook cannot be started: not checked, the job goes on (preflight install)");
    return 0;
}
