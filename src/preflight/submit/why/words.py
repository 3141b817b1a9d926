"""Times, lists and exit codes in words."""

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


def exit_words(code: str) -> str:
    """Return Slurm's "CODE:SIGNAL" in words: "exit code 7", "signal 9 (SIGKILL)"; "" where it is not known."""
    status, _, number = code.partition(":")
    if not (is_whole(status) and is_whole(number)):
        return ""
    if number == "0":
        return f"exit code {status}"
    try:
        return f"signal {number} ({signal.Signals(int(number)).name})"
    except ValueError:
        return f"signal {number}"


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
