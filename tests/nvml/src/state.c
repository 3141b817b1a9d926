#include "state.h"

#include "call.h"
#include "events.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A scenario and the calls that hold it. */
struct session {
    struct scenario *scenario;
    unsigned holders;
    struct session *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct session *current; /* head of the list; the others wait for their last holder */
static unsigned initializations;

/* Drops the sessions that nobody holds any more, except the current one of an initialized library. */
static void sweep(void) {
    struct session **link = &current;
    while (*link != NULL) {
        struct session *session = *link;
        if (session->holders > 0 || (session == current && initializations > 0)) {
            link = &session->next;
            continue;
        }
        *link = session->next;
        scenario_free(session->scenario);
        free(session);
    }
}

const struct scenario *state_acquire(void) {
    const struct scenario *scenario = NULL;
    pthread_mutex_lock(&lock);
    if (initializations > 0) {
        current->holders++;
        scenario = current->scenario;
    }
    pthread_mutex_unlock(&lock);
    return scenario;
}

void state_release(const struct scenario *scenario) {
    if (scenario == NULL)
        return;
    pthread_mutex_lock(&lock);
    for (struct session *session = current; session != NULL; session = session->next)
        if (session->scenario == scenario)
            session->holders--;
    sweep();
    pthread_mutex_unlock(&lock);
}

/* <directory of this library>/scenarios/<name>.scenario, to be freed; NULL without memory. */
static char *beside_library(const char *name) {
    Dl_info self;
    char *path;
    if (dladdr((void *)&current, &self) == 0 || self.dli_fname == NULL)
        return NULL;
    const char *slash = strrchr(self.dli_fname, '/');
    int directory = slash != NULL ? (int)(slash - self.dli_fname) : 1;
    if (asprintf(&path, "%.*s/scenarios/%s.scenario", directory, slash != NULL ? self.dli_fname : ".", name) < 0)
        return NULL;
    return path;
}

static enum scenario_result load_beside_library(const char *name, bool strict, struct scenario **scenario) {
    char *path = beside_library(name);
    enum scenario_result result = path != NULL ? scenario_load(path, strict, scenario) : SCENARIO_BROKEN;
    free(path);
    return result;
}

static const char *environment(const char *name) {
    const char *value = getenv(name);
    return value != NULL && *value != '\0' ? value : NULL;
}

/* $NVML_SIM_SCENARIO alone where it is set, else the node's file, else the default. */
static enum scenario_result find_scenario(struct scenario **scenario) {
    bool strict = environment("NVML_SIM_STRICT") != NULL;
    const char *path = environment("NVML_SIM_SCENARIO"), *node = environment("SLURMD_NODENAME");
    if (path != NULL) {
        enum scenario_result result = scenario_load(path, strict, scenario);
        if (result == SCENARIO_MISSING)
            fprintf(stderr, "nvml simulator: no file %s (NVML_SIM_SCENARIO)\n", path);
        return result;
    }
    /* A node's name is a file name here: one with a slash in it is not looked for. */
    if (node != NULL && strchr(node, '/') == NULL) {
        enum scenario_result result = load_beside_library(node, strict, scenario);
        if (result != SCENARIO_MISSING)
            return result;
    }
    return load_beside_library("default", strict, scenario);
}

static nvml_status adopt(struct scenario *scenario) {
    struct session *session = calloc(1, sizeof *session);
    if (session == NULL) {
        scenario_free(scenario);
        return NVML_MEMORY;
    }
    session->scenario = scenario;
    pthread_mutex_lock(&lock);
    session->next = current;
    current = session;
    initializations++;
    sweep();
    pthread_mutex_unlock(&lock);
    return NVML_OK;
}

NVML_API nvml_status nvmlInitWithFlags(unsigned int flags) {
    (void)flags; /* NO_GPUS and NO_ATTACH change nothing here: a driver without GPUs initializes */
    struct scenario *scenario = NULL;
    switch (find_scenario(&scenario)) {
    case SCENARIO_MISSING: return NVML_DRIVER_NOT_LOADED;
    case SCENARIO_BROKEN: return NVML_UNKNOWN;
    case SCENARIO_LOADED: break;
    }
    nvml_status status = call_rehearse(scenario, "nvmlInitWithFlags");
    if (status != NVML_OK) {
        scenario_free(scenario);
        return status;
    }
    return adopt(scenario);
}

NVML_API nvml_status nvmlInit_v2(void) {
    return nvmlInitWithFlags(0);
}

NVML_API nvml_status nvmlInit(void) {
    return nvmlInitWithFlags(0);
}

NVML_API nvml_status nvmlShutdown(void) {
    struct call call;
    nvml_status status = call_end(&call, call_begin_driver(&call, __func__));
    if (status != NVML_OK)
        return status;
    pthread_mutex_lock(&lock);
    bool last = initializations > 0 && --initializations == 0;
    sweep();
    pthread_mutex_unlock(&lock);
    if (last)
        events_forget();
    return NVML_OK;
}
