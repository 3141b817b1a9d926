"""Numbers in text that others wrote: ASCII digits, and few enough of them.

str.isdigit is true of "²", which int refuses; int is quadratic in thousands of digits, and Python 3.11 refuses those.
"""

from __future__ import annotations

MOST = 18  # digits of a number that fits 64 bits, with or without a sign


def is_whole(text: str | bytes, most: int = MOST) -> bool:
    """Return whether ``text`` is 1 to ``most`` ASCII digits and nothing else: int reads it then."""
    return 0 < len(text) <= most and text.isascii() and text.isdigit()


def whole(text: str, most: int = MOST) -> int | None:
    """Return the number that ``text`` is, None where it is none by `is_whole`."""
    return int(text) if is_whole(text, most) else None
