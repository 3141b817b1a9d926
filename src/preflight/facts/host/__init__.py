"""What the policy's [[host]] rows of this node ask, of the kinds that answer at once; nothing without such a row."""

from __future__ import annotations

from preflight.facts.answer import Answer, explain
from preflight.facts.host.kind import READY, CannotTell, Shared, kind_of
from preflight.facts.isolate import Outcome
from preflight.facts.registry import fact
from preflight.facts.rootfs import Root

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

    from preflight.facts.host.kind import Args

KEYS: dict[str, Any] = {
    "rows": [
        {
            "kind": "text",
            "told": "text?: not text but what the kind tells of it (docs/host-health.md), null where it told nothing",
            "error": "text?: why it could not be told",
            "hung": "text?: what did not answer",
        }
    ],
    "stuck_at": "text?: what the reader hung in: rows behind it were not read",
}
del KEYS["rows"][0]["told"]  # an object that each kind fills in its own way


def unfinished(parts: list[Any], outcome: Outcome) -> Answer:
    """Return the rows that were told before the reader hung or died; those that hung are named."""
    latest = [one for at, one in enumerate(parts) if not any(same_row(one, later) for later in parts[at + 1 :])]
    return Answer({"rows": latest, "stuck_at": outcome.why()})


def same_row(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Return whether two entries are about the same row."""
    return bool(one["kind"] == other["kind"] and one["args"] == other["args"])


def entry(root: Root, kind: str, args: Args, shared: Shared) -> dict[str, Any]:
    """Return what one row asks: {kind, args, told} or {kind, args, error}."""
    try:
        return {"kind": kind, "args": args, "told": kind_of(kind).read(root, args, shared)}
    except CannotTell as error:
        return {"kind": kind, "args": args, "error": str(error)}
    except OSError as error:
        return {"kind": kind, "args": args, "error": explain(error)}
    except Exception as error:  # what a file or a kernel holds that no reader expects costs its own row only
        return {"kind": kind, "args": args, "error": f"{type(error).__name__}: {error}"[:200]}


@fact("host", keys=KEYS, child="host", budget_s=4, unfinished=unfinished)
def read(root: Root) -> Answer:
    """What the policy's [[host]] rows ask: those that the kernel answers at once."""
    shared = Shared(root)
    rows = []
    for kind, args in root.source.host:
        if kind_of(kind).fact == READY:
            root.touch(f"{kind} {kind_of(kind).subject(args)}")
            rows.append(entry(root, kind, args, shared))
            root.part(rows[-1])
    return Answer({"rows": rows, "stuck_at": None})
