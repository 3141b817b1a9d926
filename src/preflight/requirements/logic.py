"""Three-valued logic: True, False and None, which is "could not be told". Unknown is never a pass."""

from __future__ import annotations

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterable


def negate(truth: bool | None) -> bool | None:
    """Return the negation; that of unknown is unknown."""
    return None if truth is None else not truth


def every(truths: Iterable[bool | None]) -> bool | None:
    """Return AND: one False decides, else one unknown does; True of nothing."""
    known = True
    for truth in truths:
        if truth is False:
            return False
        known = known and truth is not None
    return True if known else None


def some(truths: Iterable[bool | None]) -> bool | None:
    """Return OR: one True decides, else one unknown does; False of nothing."""
    return negate(every(negate(truth) for truth in truths))
