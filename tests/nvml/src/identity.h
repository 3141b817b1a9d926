#ifndef PREFLIGHT_IDENTITY_H
#define PREFLIGHT_IDENTITY_H

#include "call.h"
#include "values.h"

#define MADE_UUID_SIZE 41

/*
 * The UUID of the call's GPU or MIG device: the key, or one made up from the key seed and the indexes, the same on
 * every run. The result lives as long as the call and the buffer.
 */
const char *identity_uuid(const struct call *call, char made[MADE_UUID_SIZE]);

/* Fills in a device's PCI address, in all its forms; the rest is 0. */
void identity_fill_pci(struct bus_id bus, struct pci_info *info);

#endif
