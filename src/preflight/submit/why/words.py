"""Times, lists and exit codes in words."""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence

from preflight.digits import is_whole


def clock(when: float, now: float) -> str:
    """Return an instant as local time: "14:02", with the day where it is not today's."""
    then, today = time.localtime(when), time.localtime(now)
    if then[:3] == today[:3]:
        return time.strftime("%H:%M", then)
    return time.strftime("%b %d %H:%M" if then[0] == today[0] else "%Y-%m-%d %H:%M", then)


def soon(when: float, now: float) -> str:
    """Return how far off an instant is: "now", "in about 2 minutes"."""
    left = when - now
    if left < 5:
        return "now"
    if left < 90:
        return f"in about {round(left / 5) * 5} seconds"
    if left < 90 * 60:
        return f"in about {round(left / 60)} minutes"
    return f"in about {round(left / 3600)} hours" if left < 36 * 3600 else f"in about {round(left / 86400)} days"


def listed(texts: Sequence[str], most: int = 6) -> str:
    """Return texts as "a, b and c", the rest counted."""
    shown = list(texts[:most])
    if len(texts) > most:
        shown.append(f"{len(texts) - most} more")
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}" if shown else ""


def verb(nodes: str, one: str, many: str) -> str:
    """Return the verb for a folded node list: "n1 is", "n[1-2] are"."""
    return many if any(letter in nodes for letter in "[,") or " and " in nodes else one


# slurmd's own errors (slurm_errno.h, 4000 and up) come as signals: the number modulo 128.
_SLURMD = 4000
_SLURMD_ERRORS = {
    4000: "could not start its tasks", 4001: "could not end its tasks", 4004: "was given a wrong credential",
    4005: "does not know its user", 4006: "does not know its group", 4007: "was given a credential that had expired",
    4008: "was given a credential that had been revoked", 4009: "was given a credential for the second time",
    4010: "could not make its directory or its script (is the spool directory full?)",
    4011: "could not make its directory", 4012: "could not write its script (is the spool directory full?)",
    4013: "could not make its script executable", 4014: "could not set up its environment",
    4016: "could not become its user", 4017: "could not make its session", 4018: "could not open its files",
    4019: "could not start another process", 4020: "could not run its script (is its #! line right?)",
    4021: "could not open its output, error or input file", 4022: "stopped it since the prolog failed",
    4023: "reported that the epilog failed", 4024: "lost the process that watches over it",
    4025: "had too many steps", 4031: "cannot run its container", 4032: "cannot bind its tasks to CPUs as it asks",
    4033: "cannot lay its tasks out on its CPUs",
}  # fmt: skip
_FILES_ERROR = 4021
_HINTS = {126: "as a rule a command that may not be run", 127: "as a rule a command that was not found"}


def exit_words(code: str, lowered: bool = False) -> str:
    """Return Slurm's "CODE:SIGNAL" in words: "exit code 7", "signal 9 (SIGKILL)"; "" where it is not known.

    ``lowered``: it comes from a sacct that shows codes above 127 less 128.
    """
    status, number = _parts(code)
    if status < 0:
        return ""
    if number:
        error = slurmd_error(code)
        return f"Slurm's own error {error}" if error else _signal(number)
    if lowered and status < 128:
        either = f"exit code {status} or {status + 128}, which this sacct does not tell apart"
        return f"{either} ({_meaning(status + 128)})" if _meaning(status + 128) else either
    meaning = _meaning(status)
    return f"exit code {status} ({meaning})" if meaning else f"exit code {status}"


def _meaning(status: int) -> str:
    """Return what a shell means by an exit code, "" where that is only the program's own."""
    if status in _HINTS:
        return _HINTS[status]
    name = _signal_name(status - 128) if 128 < status < 128 + 32 else ""
    return f"{status} is a shell's word for {name}" if name else ""


def _signal(number: int) -> str:
    name = _signal_name(number)
    return f"signal {number} ({name})" if name else f"signal {number}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return ""


def killed(code: str, lowered: bool = False) -> bool:
    """Return whether a job was ended by SIGKILL, or may have been: by itself or in a shell (137)."""
    status, number = _parts(code)
    return number == 9 or (not number and status in ((9, 137) if lowered else (137,)))


def slurmd_error(code: str) -> int:
    """Return the error of slurmd that a "CODE:SIGNAL" stands for, 0 for none."""
    _, number = _parts(code)
    error = _SLURMD - 32 + number
    return error if number >= 32 and error in _SLURMD_ERRORS else 0


def slurmd_words(code: str) -> str:
    """Return what slurmd could not do, as the end of a sentence that began with a node; "" where it was not slurmd."""
    return _SLURMD_ERRORS.get(slurmd_error(code), "")


def no_files(code: str) -> bool:
    """Return whether slurmd could not open the files that a job writes to and reads from."""
    return slurmd_error(code) == _FILES_ERROR


def _parts(code: str) -> tuple[int, int]:
    status, _, number = code.partition(":")
    return (int(status), int(number)) if is_whole(status) and is_whole(number) else (-1, 0)


def who_is(uid: int) -> str:
    """Return the name of a user, "uid 1000" where this machine knows none."""
    try:
        import pwd

        return pwd.getpwuid(uid).pw_name
    except (ImportError, KeyError, OverflowError):
        return f"uid {uid}"


def is_admin(uid: int, slurm_user: int | None = None) -> bool:
    """Return whether a uid is root's or Slurm's own."""
    return uid in (0, slurm_user)
