/* Whether NVML is initialized, and with which scenario. */
#ifndef PREFLIGHT_STATE_H
#define PREFLIGHT_STATE_H

#include "scenario.h"

/* The scenario in force, to be given back with state_release; NULL while NVML is not initialized. */
const struct scenario *state_acquire(void);
void state_release(const struct scenario *scenario);

#endif
