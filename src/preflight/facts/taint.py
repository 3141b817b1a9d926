"""What has tainted the kernel since its start (Documentation/admin-guide/tainted-kernels.rst)."""

from __future__ import annotations

from preflight.digits import whole
from preflight.facts.answer import NOT_LIVE, Answer, unknown
from preflight.facts.registry import fact
from preflight.facts.rootfs import Root

FILE = "/proc/sys/kernel/tainted"
LETTERS = "PFSRMBUDAWCIOELKXTNJ"  # by bit, from 0


@fact("taint", keys={"flags": "texts: the letters, such as P (proprietary module), O (out of tree), D (died), M"})
def read(root: Root) -> Answer:
    """What has tainted the kernel."""
    text = root.live_read(FILE, 64)
    if text is None:
        return unknown(f"no {FILE}" if root.live else NOT_LIVE)
    bits = whole(text.strip()) or 0
    return Answer({"flags": [letter for at, letter in enumerate(LETTERS) if bits >> at & 1]})
