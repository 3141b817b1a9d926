"""Kind "load": the load averages."""

from __future__ import annotations

from preflight.facts.answer import NOT_LIVE
from preflight.facts.host.kind import Args, CannotTell, Shared, kind
from preflight.facts.rootfs import Root

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

LOADAVG = "/proc/loadavg"
KEYS = ("one_max", "five_max", "fifteen_max")


def users(args: Args) -> str:
    """Return why users can make a row fail: always."""
    return "users' processes make the load"


@kind(
    "load",
    keys={
        "one_max": "number processes: that ran or waited for a disk, mean of one minute, at most",
        "five_max": "number processes: of five minutes",
        "fifteen_max": "number processes: of fifteen minutes",
    },
    needs=(KEYS,),
    users=users,
)
def read(root: Root, args: Args, shared: Shared) -> dict[str, Any]:
    """No more processes run, or wait for a disk, than asked for."""
    text = root.live_read(LOADAVG, 256)
    if text is None:
        raise CannotTell(f"no {LOADAVG}" if root.live else NOT_LIVE)
    try:
        one, five, fifteen = (float(part) for part in text.split()[:3])
    except ValueError:
        raise CannotTell(f"{LOADAVG} holds no load averages") from None
    return {"one": one, "five": five, "fifteen": fifteen}
