"""An nhc.conf as NHC reads it: bash's `read` without -r, then "TARGET || CHECK" at the first "||".

Of NHC 1.4.3 (nhc_load_conf in scripts/common.nhc): a backslash at a line's end continues it, also behind a comment;
every other backslash is taken away; blanks around target and check do not count; a line without "||" is target and
check at once, and as good as never matches a node's name; the last line counts only with a newline at its end.
"""

from __future__ import annotations

from typing import NamedTuple

BLANKS = " \t\r"


class Line(NamedTuple):
    """One line that is no comment. ``number``: its first line in the file; ``text``: as written, on one line.

    ``target`` and ``check`` are what NHC sees, ``check`` with blanks as its `eval` leaves them: one between words.
    ``bare``: it has no "||". ``ended``: a newline ends it.
    """

    number: int
    text: str
    target: str
    check: str
    bare: bool
    ended: bool


def read(text: str) -> list[Line]:
    """Return the lines of an nhc.conf that NHC would look at."""
    found = []
    for number, raw, seen, ended in _logical(text.replace("\x00", "")):
        stripped = seen.strip(BLANKS)
        if not stripped or stripped.startswith("#"):
            continue
        target, bars, check = stripped.partition("||")
        if not bars:
            check = target
        words = " ".join(check.split())
        found.append(Line(number, " ".join(raw.split()), target.strip(BLANKS), words, not bars, ended))
    return found


def _logical(text: str) -> list[tuple[int, str, str, bool]]:
    """Return (number, as written, as `read` gives it, whether a newline ends it) of each logical line."""
    found: list[tuple[int, str, str, bool]] = []
    number = begun = 1
    raw = seen = ""
    at = 0
    while at < len(text):
        letter = text[at]
        if letter == "\\" and at + 1 < len(text):
            following = text[at + 1]
            if following == "\r" and text[at + 2 : at + 3] == "\n":
                following, at = "\n", at + 1
            raw += " " if following == "\n" else letter + following
            seen += "" if following == "\n" else following
            number += following == "\n"
            at += 2
            continue
        at += 1
        if letter != "\n":
            raw, seen = raw + letter, seen + letter
            continue
        found.append((begun, raw, seen, True))
        number += 1
        begun, raw, seen = number, "", ""
    if raw.strip():
        found.append((begun, raw, seen, False))
    return found
