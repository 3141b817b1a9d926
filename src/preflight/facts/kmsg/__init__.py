"""The kernel's log: records of /dev/kmsg or the journal, the events in them, and what is remembered of them."""
