"""Main memory."""

from preflight.digits import is_whole
from preflight.facts.answer import NOT_LIVE, Answer, unknown
from preflight.facts.registry import fact
from preflight.facts.rootfs import Root

MEMINFO = "/proc/meminfo"


@fact("memory", keys={"total": "count bytes", "available": "count bytes"})
def read(root: Root) -> Answer:
    """Main memory, of /proc/meminfo.

    Kernels before 3.14 have no MemAvailable: then ``available`` is in the answer's unknown.
    """
    text = root.live_read(MEMINFO)
    if text is None:
        return unknown(f"no {MEMINFO}" if root.live else NOT_LIVE)
    found = sizes(text)
    if "MemTotal" not in found:
        return unknown(f"{MEMINFO} has no MemTotal")
    if "MemAvailable" not in found:
        return Answer({"total": found["MemTotal"]}, {"available": f"{MEMINFO} has no MemAvailable"})
    return Answer({"total": found["MemTotal"], "available": found["MemAvailable"]})


def sizes(text: str) -> dict[str, int]:
    """Return the bytes of each line of /proc/meminfo that has the unit kB, by its name."""
    out: dict[str, int] = {}
    for line in text.splitlines():
        name, colon, rest = line.partition(":")
        number, _, unit = rest.strip().partition(" ")
        if colon and is_whole(number) and unit.strip() == "kB":
            out[name] = int(number) * 1024
    return out
