"""One check's answer about one subject."""

from typing import Any, NamedTuple

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
