"""Whether the kernel's clock is synchronised, as adjtimex(2) says it, whichever daemon does it.

struct timex: include/uapi/linux/timex.h. Every NTP daemon (chronyd, ntpd, systemd-timesyncd) and ptp's phc2sys tell the
kernel; without news of them the maximum error grows by 500 ppm until the kernel says STA_UNSYNC at 16 s
(kernel/time/ntp.c: MAXFREQ, NTP_PHASE_LIMIT). chronyd without rtcsync leaves STA_UNSYNC set, so that
the kernel does not set the hardware clock, and tells the errors all the same (chrony's sys_timex.c): the flag with an
error below 16 s is no proof that nothing synchronises the clock.
"""

from __future__ import annotations

from preflight.facts.answer import NOT_LIVE, Answer, unknown
from preflight.facts.registry import FILES, fact
from preflight.facts.rootfs import Root

UNSYNCHRONISED = 0x0040  # STA_UNSYNC
LONGS = 26  # the size of struct timex in longs, and some more


@fact(
    "timesync",
    keys={
        "synchronised": "flag: the kernel's word",
        "error_s": "number seconds: that the clock is off at most, as the kernel estimates it",
    },
    child=FILES,
    budget_s=1,
)
def read(root: Root) -> Answer:
    """Whether the clock is synchronised."""
    if not root.live:
        return unknown(NOT_LIVE)
    import ctypes

    try:
        function = ctypes.CDLL(None).adjtimex
    except (AttributeError, OSError):
        return unknown("the C library has no adjtimex")
    fields = (ctypes.c_long * LONGS)()  # modes, offset, freq, maxerror, esterror, status, …: modes 0 only reads
    if function(ctypes.byref(fields)) < 0:
        return unknown("adjtimex failed")
    status = fields[5] & 0xFFFFFFFF
    return Answer({"synchronised": not status & UNSYNCHRONISED, "error_s": fields[3] / 1e6})
