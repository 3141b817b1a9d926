"""One check's answer about one subject."""

from __future__ import annotations

from preflight.facts.view import Unknown
from preflight.tuples import NamedTuple

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any
STATUSES = ("pass", "warn", "fail", "skip", "unknown")
BLAMES = ("node", "job", "site", "user")


class Finding(NamedTuple):
    """What a check found; field names are those of the report (format preflight.report/1).

    ``status`` is one of STATUSES, ``blame`` one of BLAMES. ``subject`` holds no ":" (it goes into a drain
    reason). ``expected`` and ``observed`` are short text or None. ``source`` says where the expectation
    comes from: "--require", "comment", "policy", or the fact's document. ``duration_ms`` is None where the
    check itself took no measurable time.
    """

    check: str
    status: str
    blame: str
    subject: str
    expected: str | None
    observed: str | None
    message: str
    remedy: str | None
    source: str | None
    duration_ms: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the finding as the report writes it."""
        return self._asdict()


def untold(name: str, subject: str, value: object) -> Finding | None:
    """Return the finding of check ``name`` for a fact that could not be told, None where it could."""
    if isinstance(value, Unknown):
        return Finding(name, "unknown", "site", subject, None, None, f"could not tell: {value.reason}", None, None)
    return None
