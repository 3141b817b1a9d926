#ifndef PREFLIGHT_IDENTITY_H
#define PREFLIGHT_IDENTITY_H

#include "call.h"

#define MADE_UUID_SIZE 41

/*
 * The UUID of the call's GPU or MIG device: the key, or one made up from the key seed and the indexes, the same on
 * every run. The result lives as long as the call and the buffer.
 */
const char *identity_uuid(const struct call *call, char made[MADE_UUID_SIZE]);

#endif
