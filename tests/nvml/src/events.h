#ifndef PREFLIGHT_EVENTS_H
#define PREFLIGHT_EVENTS_H

/* Frees every event set: the last nvmlShutdown does. */
void events_forget(void);

#endif
