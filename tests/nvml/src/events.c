/* Event sets. The events of a scenario are there when a set registers for them, and each is given once. */
#include "events.h"

#include "call.h"
#include "values.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

struct event {
    struct event_data data;
    struct event *next;
};

/* Sets are known by number, so that one that was freed is told from one that was not. */
struct event_set {
    uintptr_t number;
    struct event *first, **end;
    struct event_set *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct event_set *sets;
static uintptr_t last_number;

/* With the lock held. */
static struct event_set *find_set(nvml_event_set handle) {
    for (struct event_set *set = sets; set != NULL; set = set->next)
        if (set->number == (uintptr_t)handle)
            return set;
    return NULL;
}

static void free_set(struct event_set *set) {
    while (set->first != NULL) {
        struct event *event = set->first;
        set->first = event->next;
        free(event);
    }
    free(set);
}

void events_forget(void) {
    pthread_mutex_lock(&lock);
    while (sets != NULL) {
        struct event_set *set = sets;
        sets = set->next;
        free_set(set);
    }
    pthread_mutex_unlock(&lock);
}

NVML_API nvml_status nvmlEventSetCreate(nvml_event_set *out) {
    struct call call;
    nvml_status status = call_begin_driver(&call, __func__);
    if (status == NVML_OK && out == NULL)
        status = NVML_INVALID_ARGUMENT;
    struct event_set *set = status == NVML_OK ? calloc(1, sizeof *set) : NULL;
    if (status == NVML_OK && set == NULL)
        status = NVML_MEMORY;
    if (set != NULL) {
        pthread_mutex_lock(&lock);
        set->number = ++last_number;
        set->end = &set->first;
        set->next = sets;
        sets = set;
        *out = (nvml_event_set)set->number; /* NOLINT: a number in a pointer's clothes */
        pthread_mutex_unlock(&lock);
    }
    return call_end(&call, status);
}

NVML_API nvml_status nvmlEventSetFree(nvml_event_set handle) {
    struct call call;
    nvml_status status = call_begin_driver(&call, __func__);
    if (status == NVML_OK) {
        status = NVML_INVALID_ARGUMENT;
        pthread_mutex_lock(&lock);
        for (struct event_set **link = &sets; *link != NULL; link = &(*link)->next)
            if ((*link)->number == (uintptr_t)handle) {
                struct event_set *set = *link;
                *link = set->next;
                free_set(set);
                status = NVML_OK;
                break;
            }
        pthread_mutex_unlock(&lock);
    }
    return call_end(&call, status);
}

NVML_API nvml_status nvmlDeviceGetSupportedEventTypes(nvml_device device, uint64_t *types) {
    return answer_u64(__func__, device, "events.supported", types);
}

struct registration {
    const struct call *call;
    uint64_t types;
    struct event_set *set;
    nvml_status status;
};

static bool register_event(void *context, uint32_t label, const char *value) {
    (void)label;
    struct registration *registration = context;
    struct event_data data;
    if (!parse_event(value, &data) || (data.type & registration->types) == 0)
        return true;
    struct event *event = calloc(1, sizeof *event);
    if (event == NULL) {
        registration->status = NVML_MEMORY;
        return false;
    }
    event->data = data;
    event->data.device = device_handle(registration->call->gpu, NOT_MIG);
    *registration->set->end = event;
    registration->set->end = &event->next;
    return true;
}

NVML_API nvml_status nvmlDeviceRegisterEvents(nvml_device device, uint64_t types, nvml_event_set handle) {
    struct call call;
    uint64_t supported;
    nvml_status status = call_begin(&call, __func__, device, ON_GPU);
    if (status == NVML_OK)
        status = value_u64(&call, &supported, "events.supported");
    if (status == NVML_OK && (types & ~supported) != 0)
        status = NVML_NOT_SUPPORTED;
    if (status == NVML_OK) {
        pthread_mutex_lock(&lock);
        struct registration registration = {&call, types, find_set(handle), NVML_OK};
        if (registration.set == NULL)
            registration.status = NVML_INVALID_ARGUMENT;
        else
            scenario_each(call.scenario, call.gpu, "event.", "", register_event, &registration);
        status = registration.status;
        pthread_mutex_unlock(&lock);
    }
    return call_end(&call, status);
}

/* Takes the first event, or answers Timeout where there is none. */
static nvml_status take_event(nvml_event_set handle, struct event_data *data) {
    nvml_status status = NVML_OK;
    pthread_mutex_lock(&lock);
    struct event_set *set = find_set(handle);
    if (set == NULL) {
        status = NVML_INVALID_ARGUMENT;
    } else if (set->first == NULL) {
        status = NVML_TIMEOUT;
    } else {
        struct event *event = set->first;
        *data = event->data;
        set->first = event->next;
        if (set->first == NULL)
            set->end = &set->first;
        free(event);
    }
    pthread_mutex_unlock(&lock);
    return status;
}

/* No event comes while it waits: an empty set waits the time out. */
NVML_API nvml_status nvmlEventSetWait_v2(nvml_event_set handle, struct event_data *data, unsigned int timeout_ms) {
    struct call call;
    nvml_status status = call_begin_driver(&call, __func__);
    if (status == NVML_OK)
        status = data != NULL ? take_event(handle, data) : NVML_INVALID_ARGUMENT;
    if (status == NVML_TIMEOUT)
        call_wait(timeout_ms);
    return call_end(&call, status);
}
