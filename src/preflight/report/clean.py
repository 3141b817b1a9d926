"""Text from users and Slurm made safe to show: nothing in it moves a cursor, a reading direction or a margin."""

import unicodedata
from typing import Any

LIMIT = 500
# Control, format (bidi overrides, zero-width), surrogate, private use, unassigned; line and paragraph separators.
_HIDDEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
_MANY_MARKS = 3  # stacked accents reach into the lines above


def clean(text: str, limit: int = LIMIT) -> str:
    """Return ``text`` with what is not visible written as an escape (\\x1b, \\u202e), cut at ``limit`` characters."""
    cut = text[:limit]
    if not cut.isascii() or not cut.isprintable():
        cut = "".join(_visible(cut))
    if len(cut) > limit or len(text) > limit:
        return f"{cut[: limit - 1]}…"
    return cut


def clean_tree(value: Any, limit: int = LIMIT, depth: int = 24) -> Any:
    """Return a JSON value with every text in it, keys too, passed through `clean`; cut below ``depth`` levels."""
    if isinstance(value, str):
        return clean(value, limit)
    if isinstance(value, list):
        return [clean_tree(one, limit, depth - 1) for one in value] if depth else "…"
    if isinstance(value, dict):
        if not depth:
            return "…"
        return {clean(str(key), limit): clean_tree(one, limit, depth - 1) for key, one in value.items()}
    return value


def width(text: str) -> int:
    """Return the columns that ``text`` takes on a terminal."""
    if text.isascii():
        return len(text)
    return sum(_columns(letter) for letter in text)


def _columns(letter: str) -> int:
    if unicodedata.combining(letter):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def _visible(text: str) -> list[str]:
    out: list[str] = []
    marks = 0
    for letter in text:
        marks = marks + 1 if unicodedata.combining(letter) else 0
        if marks > _MANY_MARKS:
            continue
        kind = unicodedata.category(letter)
        out.append(" " if kind == "Zs" else _escape(letter) if kind in _HIDDEN else letter)
    return out


def _escape(letter: str) -> str:
    code = ord(letter)
    if letter in "\n\t\r":
        return " "
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
