#define _GNU_SOURCE
#include "common.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

bool joined(char *out, size_t room, const char *const *pieces) {
    size_t used = 0;
    for (; *pieces != NULL; pieces++) {
        size_t length = strlen(*pieces);
        if (length >= room - used)
            return false;
        memcpy(out + used, *pieces, length);
        used += length;
    }
    out[used] = '\0';
    return true;
}

static bool is_letter_or_digit(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool is_node_name(const char *text) {
    if (!is_letter_or_digit(text[0]))
        return false;
    size_t length = 1;
    for (; text[length] != '\0'; length++)
        if (length >= 255 || !(is_letter_or_digit(text[length]) || strchr("._-", text[length]) != NULL))
            return false;
    return true;
}

bool is_number(const char *text) {
    size_t length = 0;
    for (; text[length] != '\0'; length++)
        if (length >= 10 || text[length] < '0' || text[length] > '9')
            return false;
    return length > 0;
}

long read_file(const char *path, char *out, size_t room) {
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (file < 0)
        return -1;
    size_t used = 0;
    while (used < room) {
        ssize_t got = read(file, out + used, room - used);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            close(file);
            if (got < 0)
                return -1;
            out[used] = '\0';
            return (long)used;
        }
        used += (size_t)got;
    }
    close(file);
    return -1; /* longer than any that we wrote */
}

void say(const char *text) {
    struct sockaddr_un place = {.sun_family = AF_UNIX, .sun_path = "/dev/log"};
    char line[512], stamp[32] = "";
    time_t now = time(NULL);
    struct tm local;
    if (gmtime_r(&now, &local) != NULL)
        strftime(stamp, sizeof stamp, "%b %e %H:%M:%S", &local);
    int length = snprintf(line, sizeof line, "<27>%s preflight[%ld]: %s", stamp, (long)getpid(), text);
    int log = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (log < 0)
        return;
    if (length > 0 && connect(log, (struct sockaddr *)&place, sizeof place) == 0) {
        size_t bytes = (size_t)length < sizeof line ? (size_t)length : sizeof line - 1;
        ssize_t sent = send(log, line, bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
        (void)sent; /* nobody takes it: lost */
    }
    close(log);
}
