"""What a probe gives back: the values of one subject, and what it could not tell."""

from __future__ import annotations

from preflight.tuples import NamedTuple

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any
NOT_LIVE = "not a live node (--root)"


class Answer(NamedTuple):
    """``values``: key -> plain JSON value. ``unknown``: key -> reason, or "" -> reason for the whole subject.

    ``keep_s``: seconds for which a cache may keep it, None for as long as what it was read from stays the same.
    """

    values: dict[str, Any]
    unknown: dict[str, str] = {}  # noqa: RUF012 - a NamedTuple default, never written
    keep_s: float | None = None


def unknown(reason: str) -> Answer:
    """Return the answer of a probe that could tell nothing."""
    return Answer({}, {"": reason})


def explain(error: OSError) -> str:
    """Return one line that says which file could not be read, and why."""
    what = error.strerror or str(error) or type(error).__name__
    return f"cannot read {error.filename}: {what}" if error.filename else what
