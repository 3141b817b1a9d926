"""The node's processors."""

import os

from preflight.facts.answer import NOT_LIVE, Answer, unknown
from preflight.facts.registry import fact
from preflight.facts.rootfs import Root

MAX_CPUINFO = 16 << 20


@fact("cpu", keys={"count": "count: logical processors that are online"})
def read(root: Root) -> Answer:
    """The node's processors.

    Another root: the "processor" lines of its /proc/cpuinfo; else the running system's count.
    """
    text = None if root.own else root.read_text("/proc/cpuinfo", MAX_CPUINFO)
    count = sum(1 for line in (text or "").splitlines() if line.startswith("processor"))
    if count:
        return Answer({"count": count})
    if not root.live:
        return unknown(NOT_LIVE)
    online = os.cpu_count()
    return Answer({"count": online}) if online else unknown("the system does not say how many processors it has")
