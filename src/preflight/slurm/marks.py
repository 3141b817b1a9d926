"""What Preflight writes in a job's AdminComment, and reading it back: `preflight:moved:NODE:runN: CAUSE`.

Text in it that comes from users was cleaned by the writer (hooks/move.py): no ";" and no further "preflight:".
"""

from __future__ import annotations

from preflight.digits import is_whole
from preflight.tuples import NamedTuple

MOVED, HELD, CANCELLED = "preflight:moved:", "preflight:held:", "preflight:cancelled:"
EVERY = " (every task of the array)"  # ends a "moved" entry that says so of its node
EXCLUDED = "preflight:excluded:"  # of a task that waits: another task of its array was sent away from the node
_KINDS = {MOVED: "moved", HELD: "held", CANCELLED: "cancelled", EXCLUDED: "excluded"}


class Mark(NamedTuple):
    """One entry: ``kind`` is moved, held, cancelled or excluded, ``run`` the job's restart count then, ``text`` why."""

    kind: str
    node: str
    run: int
    text: str


def marks(comment: str) -> list[Mark]:
    """Return our entries of an AdminComment in the order in which they were written; what others keep is passed."""
    found = []
    for entry in comment.split(";"):
        head, _, text = entry.strip().partition(": ")
        kind = next((kind for start, kind in _KINDS.items() if head.startswith(start)), "")
        parts = head.split(":")
        digits = parts[3].removeprefix("run") if len(parts) == 4 else ""
        if kind and is_whole(digits, 9):
            found.append(Mark(kind, parts[2], int(digits), text.strip()))
    return found


def appended(comment: str, *entries: str) -> str:
    """Return an AdminComment with entries of ours behind what others keep there."""
    return "; ".join([*([comment] if comment else []), *entries])
