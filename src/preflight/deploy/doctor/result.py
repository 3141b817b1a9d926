"""What the doctor says of one thing: fine, or what is wrong, where, and what to type."""

from typing import NamedTuple

OK, WARN, FAIL, UNKNOWN, SKIP = "pass", "warn", "fail", "unknown", "skip"
FINDINGS = (FAIL, WARN)


class Result(NamedTuple):
    """``status``: pass, warn (works, but not as it should), fail, unknown (could not be told), skip (not here).

    ``subject``: a short name ("slurm.conf PrologFlags"). ``where``: a path, with a line where there is one.
    ``fix``: exactly what to type or to write, "" where there is nothing to do.
    """

    status: str
    subject: str
    text: str
    where: str = ""
    fix: str = ""

    @property
    def is_finding(self) -> bool:
        """Return whether something is to be done about it."""
        return self.status in FINDINGS


def ok(subject: str, text: str, where: str = "") -> Result:
    """Return that something is as it should be."""
    return Result(OK, subject, text, where)


def warn(subject: str, text: str, where: str, fix: str) -> Result:
    """Return something that works, but not as it should."""
    return Result(WARN, subject, text, where, fix)


def wrong(subject: str, text: str, where: str, fix: str) -> Result:
    """Return something that is wrong."""
    return Result(FAIL, subject, text, where, fix)


def unknown(subject: str, text: str, where: str = "", fix: str = "") -> Result:
    """Return that something could not be told; never a pass."""
    return Result(UNKNOWN, subject, text, where, fix)


def skip(subject: str, text: str) -> Result:
    """Return that something does not apply on this host."""
    return Result(SKIP, subject, text)
