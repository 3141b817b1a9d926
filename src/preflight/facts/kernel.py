"""The running kernel."""

import os

from preflight.facts.answer import NOT_LIVE, Answer, unknown
from preflight.facts.registry import fact
from preflight.facts.rootfs import Root


@fact("kernel", keys={"release": "text"})
def read(root: Root) -> Answer:
    """The running kernel: of /proc/sys/kernel/osrelease beneath the root, else of uname."""
    text = None if root.own else root.read_text("/proc/sys/kernel/osrelease", 4096)
    if text and text.strip():
        return Answer({"release": text.strip()})
    if not root.live:
        return unknown(NOT_LIVE)
    if not hasattr(os, "uname"):
        return unknown("this system tells no kernel release")
    return Answer({"release": os.uname().release})
