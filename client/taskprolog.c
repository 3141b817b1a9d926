/* Preflight's task prolog: prints, for slurmstepd, what the prolog left about the job. Run as the job's user, for every
 * task of every job, and ends with 0 whatever happens.
 *
 * It is the interpreter of the script that slurm.conf names (TaskProlog=), which says where the notes are:
 *
 *     #!/opt/preflight/libexec/preflight-task
 *     run-dir /run/preflight
 *     otherwise /opt/preflight/libexec/taskprolog-oneshot
 *
 * A note that is no plain one (hooks/record.py writes it: {"verdict":…,"report":…,"message":…}, ASCII) is left to the
 * script `otherwise`.
 */
#define _GNU_SOURCE
#include "common.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SETTINGS_MAX = 8192, NOTE_MAX = 16384, VALUE_MAX = 4096, MESSAGE_SHOWN = 200, FIELDS = 3 };

static const char *const names[FIELDS] = {"verdict", "report", "message"};
static char values[FIELDS][VALUE_MAX];

/* Read a JSON text of plain ASCII, of escapes only those of quotes and backslashes, at `*at` into `out`; else false. */
static bool plain_text(const char **at, char *out) {
    const char *from = *at;
    if (*from++ != '"')
        return false;
    size_t length = 0;
    for (; *from != '"'; from++) {
        if (*from == '\\' && *++from != '"' && *from != '\\')
            return false;
        if (*from < ' ' || *from > '~' || length >= VALUE_MAX - 1)
            return false;
        out[length++] = *from;
    }
    out[length] = '\0';
    *at = from + 1;
    return true;
}

/* Read {"verdict":"…","report":"…","message":"…"}, in this order and with nothing beside it. */
static bool read_note(const char *note) {
    static char name[VALUE_MAX];
    for (int field = 0; field < FIELDS; field++) {
        if (*note++ != (field == 0 ? '{' : ',') || !plain_text(&note, name) || strcmp(name, names[field]) != 0)
            return false;
        if (*note++ != ':' || !plain_text(&note, values[field]))
            return false;
    }
    return note[0] == '}' && note[1] == '\0';
}

static bool is(const char *name, const char *value) {
    const char *there = getenv(name);
    return there != NULL && strcmp(there, value) == 0;
}

/* Whether this task speaks for its node: once a job, in the batch step or else step 0 (hooks/task.py has the same). */
static bool speaks(void) {
    if (getenv("SLURM_STEP_ID") == NULL || is("SLURM_STEP_ID", "-5") || is("SLURM_STEP_ID", "4294967291"))
        return true;
    bool spoken = is("ENVIRONMENT", "BATCH") && is("SLURM_NODEID", "0");
    return is("SLURM_STEP_ID", "0") && is("SLURM_LOCALID", "0") && !spoken;
}

static void print_note(const char *node, const char *job) {
    if (strcmp(values[0], "ready") != 0 && speaks())
        printf("print preflight: %s: %s: %.*s (preflight report %s)\n", node, values[0], MESSAGE_SHOWN, values[2], job);
    printf("export PREFLIGHT_VERDICT=%s\nexport PREFLIGHT_REPORT=%s\n", values[0], values[1]);
}

static const char *setting(char *text, const char *name) {
    size_t length = strlen(name);
    for (char *line = text; line != NULL; line = strchr(line, '\n')) {
        line += line != text;
        if (strncmp(line, name, length) == 0 && line[length] == ' ')
            return line + length + 1;
    }
    return NULL;
}

int main(int count, char **arguments) {
    static char text[SETTINGS_MAX], note[NOTE_MAX], path[PLACE_MAX];
    if (count == 2 && strcmp(arguments[1], "--version") == 0)
        return puts("preflight-task 1") < 0;
    if (count < 2 || read_file(arguments[1], text, sizeof text) < 0)
        return 0;
    char *run_dir = (char *)(uintptr_t)setting(text, "run-dir");
    char *otherwise = (char *)(uintptr_t)setting(text, "otherwise");
    const char *node = getenv("SLURMD_NODENAME"), *job = getenv("SLURM_JOB_ID");
    if (run_dir == NULL || otherwise == NULL || node == NULL || job == NULL)
        return 0;
    run_dir[strcspn(run_dir, "\n")] = '\0';
    otherwise[strcspn(otherwise, "\n")] = '\0';
    const char *const pieces[] = {run_dir, "/task/", node, ".", job, NULL};
    if (is_node_name(node) && is_number(job) && joined(path, sizeof path, pieces)) {
        if (access(path, F_OK) != 0)
            return 0; /* no prolog of ours: nothing to say */
        if (read_file(path, note, sizeof note) >= 0 && read_note(note)) {
            print_note(node, job);
            return 0;
        }
    }
    char *command[] = {otherwise, NULL};
    execv(command[0], command);
    return 0;
}
