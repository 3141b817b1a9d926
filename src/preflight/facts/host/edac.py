"""Kind "edac": memory errors that the kernel counts, by memory controller (Documentation/driver-api/edac.rst)."""

from __future__ import annotations

from preflight.facts.edac import read as read_edac
from preflight.facts.host.kind import Args, CannotTell, Shared, kind
from preflight.facts.rootfs import Root

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any


def counts(root: Root) -> dict[str, int]:
    """Return {"mc0 corrected": 3} since the driver was loaded."""
    answer = read_edac(root)
    if answer.unknown:
        raise CannotTell(answer.unknown[""])
    controllers = answer.values["controllers"]
    if not controllers:
        raise CannotTell("no EDAC driver knows this machine's memory")
    return {f"{one['name']} {word}": one[word] for one in controllers for word in ("corrected", "uncorrected")}


@kind(
    "edac",
    keys={
        "corrected_max": "count: corrected errors of each memory controller within the window, at most",
        "uncorrected_max": "count: errors that were not corrected",
        "window": "time: left out: all since the driver was loaded",
    },
    needs=(("corrected_max", "uncorrected_max"),),
)
def read(root: Root, args: Args, shared: Shared) -> dict[str, Any]:
    """No more memory errors were counted than asked for."""
    return {"counters": shared.of(counts)}
