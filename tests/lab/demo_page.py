"""What the demonstration prints: progress in one line, and a table of 80 columns."""

from __future__ import annotations

import re
import sys
import textwrap
import time
from collections.abc import Iterable
from typing import NamedTuple

COLUMNS = {"job": 7, "asked": 19, "node": 7, "verdict": 9, "action": 9, "page": 19}


class Row(NamedTuple):
    """One line of the table: one try of a job on one node."""

    job: str
    asked: str
    node: str
    verdict: str
    action: str
    page: str


class Progress:
    """One line that is written over on a terminal; elsewhere a line for each thing that changed, without escapes."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self._tty = sys.stdout.isatty()
        self._shown = ""

    @property
    def seconds(self) -> float:
        """Return the seconds since the beginning."""
        return time.monotonic() - self.began

    def show(self, text: str) -> None:
        """Say what is going on."""
        line = f"[{self.seconds:3.0f} s] {text}"[:79]
        if self._tty:
            sys.stdout.write("\r" + line.ljust(79))
        elif text != self._shown:
            sys.stdout.write(line + "\n")
        self._shown = text
        sys.stdout.flush()

    def clear(self) -> None:
        """Take the line away: something that stays is printed next."""
        if self._tty:
            sys.stdout.write("\r" + " " * 79 + "\r")
            sys.stdout.flush()
        self._shown = ""


def say(text: str = "") -> None:
    """Print a line that stays."""
    print(text, flush=True)


def block(text: str) -> None:
    """Print what a command said, set in by four columns; a line that is too long goes on below itself."""
    for line in text.rstrip("\n").splitlines():
        if len(line) > 75:
            line = textwrap.fill(line, 75, subsequent_indent="  ", break_on_hyphens=False)
        say(textwrap.indent(line, "    "))


def heading(text: str) -> None:
    """Print a heading."""
    say(f"\n{text}\n{'-' * len(text)}")


def table(rows: Iterable[Row]) -> str:
    """Return the rows below their headings; a cell that is too long goes on below itself."""
    lines = [_line(COLUMNS), _line({name: "-" * width for name, width in COLUMNS.items()})]
    for row in rows:
        cells = [_wrapped(text, width) for text, width in zip(row, COLUMNS.values())]
        for at in range(max(map(len, cells))):
            texts = [cell[at] if at < len(cell) else "" for cell in cells]
            lines.append(_line(dict(zip(COLUMNS, texts))))
    return "\n".join(lines)


def _line(cells: dict[str, str] | dict[str, int]) -> str:
    texts = [name if isinstance(cell, int) else cell for name, cell in cells.items()]
    return "  ".join(f"{text:<{width}}" for text, width in zip(texts, COLUMNS.values())).rstrip()


def _wrapped(text: str, width: int) -> list[str]:
    """Part at commas and before alternatives, which is where a requirement may be read in pieces."""
    lines = [""]
    for piece in re.findall(r"[^,|]+(?:, |,|\||$)", text):
        if lines[-1] and len(lines[-1]) + len(piece.rstrip()) > width:
            lines[-1] = lines[-1].rstrip()
            lines.append("")
        lines[-1] += piece
    return [one[at : at + width] for one in lines for at in range(0, max(len(one.rstrip()), 1), width)]
