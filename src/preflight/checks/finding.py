"""One check's answer about one subject, and the five ways to make one.

    yield failed("3 uncorrected ECC errors", subject="gpu3", observed="3", expected="<= 0")

What a check leaves out comes from its declaration (`preflight.checks.registry.check`): its name, subject, blame, remedy
and source. Blame is whose fault a fail would be; an unknown carries the same, and is nobody's fault by itself.
"""

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
    reason), and in a report nothing that does not print. ``expected`` and ``observed`` are short text or None.
    ``source`` says where the expectation comes from: "--require", "comment", "policy", or the fact's document.
    ``duration_ms`` is None where the check itself took no measurable time. Empty ``check``, ``blame`` and
    ``subject`` are the declaration's.
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


def passed(
    message: str,
    *,
    subject: str = "",
    observed: object = None,
    expected: str | None = None,
    blame: str = "",
    source: str | None = None,
) -> Finding:
    """Return the finding of what is well; ``observed`` is shown as text."""
    return Finding("", "pass", blame, subject, expected, _text(observed), message, None, source, None)


def failed(
    message: str,
    *,
    subject: str = "",
    observed: object = None,
    expected: str | None = None,
    remedy: str | None = None,
    blame: str = "",
    source: str | None = None,
) -> Finding:
    """Return the finding of what is not well: a warning where the policy's action for the check is warn."""
    return Finding("", "fail", blame, subject, expected, _text(observed), message, remedy, source, None)


def warned(
    message: str,
    *,
    subject: str = "",
    observed: object = None,
    expected: str | None = None,
    remedy: str | None = None,
    blame: str = "",
    source: str | None = None,
) -> Finding:
    """Return the finding of what needs a look and is no reason to act, whatever the policy says."""
    return Finding("", "warn", blame, subject, expected, _text(observed), message, remedy, source, None)


def untold(
    why: str | Unknown,
    *,
    subject: str = "",
    observed: object = None,
    expected: str | None = None,
    remedy: str | None = None,
    blame: str = "",
    source: str | None = None,
) -> Finding:
    """Return the finding of what could not be told; ``why`` may be the fact itself. Never a pass."""
    message = f"could not tell: {why.reason}" if isinstance(why, Unknown) else why
    return Finding("", "unknown", blame, subject, expected, _text(observed), message, remedy, source, None)


def skipped(
    message: str, *, subject: str = "", observed: object = None, blame: str = "", source: str | None = None
) -> Finding:
    """Return the finding of what does not apply here: no such hardware, nothing to judge."""
    return Finding("", "skip", blame, subject, None, _text(observed), message, None, source, None)


def first_unknown(*values: object) -> Unknown | None:
    """Return the first of the facts that could not be told, None where all could."""
    return next((value for value in values if isinstance(value, Unknown)), None)


def _text(value: object) -> str | None:
    """Return what was observed as text; nothing of a fact that could not be told."""
    return None if value is None or isinstance(value, Unknown) else str(value)
