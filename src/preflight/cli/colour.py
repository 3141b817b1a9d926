"""Colour for a person at a terminal: the words that say how something stands, where they begin a line."""

from __future__ import annotations

import os
import re
import sys

GREEN, YELLOW, RED, MAGENTA = "32", "33", "31", "35"
_WORDS = {
    **dict.fromkeys(("ok", "READY", "PASS"), GREEN),
    **dict.fromkeys(("WARN", "DEGRADED", "MISMATCH", "OBSERVE"), YELLOW),
    **dict.fromkeys(("FAIL", "UNHEALTHY"), f"1;{RED}"),
    **dict.fromkeys(("unknown", "UNKNOWN"), MAGENTA),
}
_FIRST = re.compile(rf"^(\s*)({'|'.join(_WORDS)})(?=[\s:]|$)", re.MULTILINE)


def wanted() -> bool:
    """Tell whether stdout is a terminal that shows colour, and nobody said NO_COLOR (no-color.org)."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") in (None, "", "dumb"):
        return False
    try:
        return sys.stdout.isatty()
    except (AttributeError, ValueError):  # closed
        return False


def coloured(text: str) -> str:
    """Return the text of a page with its status words coloured."""
    return _FIRST.sub(lambda found: f"{found[1]}\033[{_WORDS[found[2]]}m{found[2]}\033[0m", text)
