"""Text from users and Slurm made safe to show: nothing in it moves a cursor, a reading direction or a margin."""

import unicodedata
from typing import Any

LIMIT = 500
_REMEMBERED = 1 << 16
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
    return Cleaner(limit).tree(value, depth)


class Cleaner:
    """Remembers which texts it has cleaned: of a job's thousand reports most texts are in all."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._known: dict[str, str] = {}

    def text(self, value: str) -> str:
        """Return a text as `clean` does."""
        found = self._known.get(value)
        if found is None:
            found = clean(value, self._limit)
            if len(self._known) < _REMEMBERED:
                self._known[value] = found
        return found

    def tree(self, value: Any, depth: int = 24) -> Any:
        """Return a JSON value as `clean_tree` does."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            if not depth:
                return "…"
            known, text = self._known, self.text
            found = {}
            for key, one in value.items():  # most of what there is: no call for a text that is known, nor for a number
                name = known.get(key) or text(str(key))
                kind = type(one)
                if kind is str:
                    found[name] = known.get(one) or text(one)
                else:
                    found[name] = self.tree(one, depth - 1) if kind is dict or kind is list else one
            return found
        if isinstance(value, list):
            return [self.tree(one, depth - 1) for one in value] if depth else "…"
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
