"""Kind "edac": memory errors that the kernel counts, by memory controller (Documentation/driver-api/edac.rst)."""

from __future__ import annotations

from preflight.digits import whole
from preflight.facts.answer import NOT_LIVE
from preflight.facts.host.kind import Args, CannotTell, Shared, kind
from preflight.facts.rootfs import Root

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

CONTROLLERS = "/sys/devices/system/edac/mc"


def counts(root: Root) -> dict[str, int]:
    """Return {"mc0 corrected": 3} since the driver was loaded."""
    holder = root.holder(CONTROLLERS)
    if holder is None:
        raise CannotTell("no EDAC driver is loaded" if root.live else NOT_LIVE)
    found: dict[str, int] = {}
    for name in holder.names(CONTROLLERS) or []:
        if name.startswith("mc") and holder.is_dir(f"{CONTROLLERS}/{name}"):
            for file, word in (("ce_count", "corrected"), ("ue_count", "uncorrected")):
                number = whole((holder.read_text(f"{CONTROLLERS}/{name}/{file}", 64) or "").strip())
                if number is not None:
                    found[f"{name} {word}"] = number
    if not found:
        raise CannotTell("the EDAC driver knows no memory controller of this machine")
    return found


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
