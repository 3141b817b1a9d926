"""One call of one of NHC's checks, and what becomes of it: rows of a policy, what was left out of them, notes."""

from __future__ import annotations

import getopt
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from preflight.deploy.nhc.targets import NoMatch, pattern
from preflight.facts.host.kind import kind_of, names_of_kinds

UNITS = ("K", "M", "G", "T", "P")
REST = "; the rest of the line is turned"
ACTS = "it acts on the node, which no check of Preflight does"


class Unturned(ValueError):
    """Why nothing of a line was turned; one line."""


class Row(NamedTuple):
    """One entry of an array of tables: its name and its keys in order."""

    table: str
    values: dict[str, Any]


class Call:
    """A check with its arguments, for some nodes; what it makes of itself is collected here.

    ``named``: parts that were left out, each with its reason. ``met``: it needs no row, because of this. ``soft``:
    NHC does not, or may not, run it, so that its rows only warn. ``harmless``: NHC itself would only log.
    """

    def __init__(self, name: str, args: list[str], nodes: str, setting: Callable[[str], str], soft: bool) -> None:
        self.name, self.args, self.nodes, self._soft = name, args, nodes, soft
        self.setting = setting
        self.rows: list[Row] = []
        self.named: list[str] = []
        self.notes: list[str] = []
        self.met = ""
        self.harmless = False

    def options(self, known: str) -> list[tuple[str, str]]:
        """Take the options from the arguments as bash's getopts does and return them as (letter, value)."""
        try:
            found, self.args = getopt.getopt(self.args, known)
        except getopt.GetoptError as error:
            raise Unturned(f"NHC itself refuses it: {error.msg}") from None
        return [(letter[1:], value) for letter, value in found]

    def acts(self, letter: str, what: str) -> None:
        """Name an option that acts on the node: the check is kept, the act is not."""
        self.named.append(f"-{letter} {what}: {ACTS}{REST}")

    def left_out(self, what: str, why: str) -> None:
        """Name a part of the line that was not turned."""
        self.named.append(f"{what}: {why}{REST}")

    def row(self, kind: str, **keys: Any) -> None:
        """Add a row of [[host]] without the keys that are None. It drains, as NHC does, if it may."""
        values = {key: value for key, value in keys.items() if value is not None}
        if kind not in names_of_kinds():
            raise Unturned(f'Preflight has no kind of host check "{kind}"')
        users = kind_of(kind).users(values)
        action = "warn" if self.harmless or self._soft or users else "drain"
        nodes = {"nodes": self.nodes} if self.nodes else {}
        self.rows.append(Row("host", {"check": kind, **nodes, "action": action, **values}))

    def command(self, run: list[str], **keys: Any) -> None:
        """Add a row of [[command]]."""
        values = {key: value for key, value in keys.items() if value is not None}
        nodes = {"nodes": self.nodes} if self.nodes else {}
        action = "warn" if self.harmless or self._soft else "drain"
        self.rows.append(Row("command", {"run": run, **nodes, "action": action, **values}))

    def expect(self, require: str) -> None:
        """Add an expectation of the nodes."""
        if self._soft:
            raise Unturned(f"an expectation cannot only warn; if the line was meant: require = {require!r}")
        nodes = {"nodes": self.nodes} if self.nodes else {}
        self.rows.append(Row("expect", {**nodes, "require": require}))


Turn = Callable[[Call], None]
TURNS: dict[str, Turn] = {}
REASONS: dict[str, str] = {}  # checks that are never turned


def turns(*names: str) -> Callable[[Turn], Turn]:
    """Register a function that turns calls of the checks ``names`` into rows, or raises Unturned."""

    def register(function: Turn) -> Turn:
        TURNS.update((name, function) for name in names)
        return function

    return register


def mstr(text: str) -> str:
    """Return a match string of NHC's as a policy's pattern; raises Unturned."""
    try:
        return pattern(text)
    except NoMatch as error:
        raise Unturned(str(error)) from None


NUMBER = "(0|[1-9][0-9]{0,14})"  # bash reads what begins with a zero as octal


def kib(text: str) -> int:
    """Return the KiB of a size as NHC reads it ("32GB", "5k", "1024": KiB); raises Unturned."""
    found = re.fullmatch(f"{NUMBER}([KMGTPEkmgtpe]?)", re.sub("[bB]$", "", text))
    if not found:
        raise Unturned(f"{text!r} is no size that NHC reads")
    power = "kmgtpe".find(found[2].lower()) if found[2] else 0
    number: int = int(found[1]) * 1024**power
    return number


def size(text: str) -> str:
    """Return a size of NHC's as a policy's, in its largest whole unit; raises Unturned."""
    number, unit = kib(text), 0
    while number and number % 1024 == 0 and unit < len(UNITS) - 1:
        number, unit = number // 1024, unit + 1
    return f"{number}{UNITS[unit]}" if number else "0"


def amount(text: str) -> str:
    """Return a share ("5%") or a size of NHC's as a policy's; raises Unturned."""
    if text.endswith("%"):
        if not re.fullmatch(f"{NUMBER}%", text) or int(text[:-1]) > 100:
            raise Unturned(f"{text!r} is no share")
        return text
    return size(text)


def count(text: str, base: int = 1000) -> int:
    """Return a number as NHC reads it ("1k" is 1000); raises Unturned."""
    found = re.fullmatch(f"{NUMBER}([kmgtpeKMGTPE]?)", text)
    if not found:
        raise Unturned(f"{text!r} is no number that NHC reads")
    number: int = int(found[1]) * base ** ("kmgtpe".find(found[2].lower()) + 1 if found[2] else 0)
    return number


def whole(text: str, what: str) -> int:
    """Return a plain whole number; raises Unturned."""
    if not re.fullmatch(NUMBER, text):
        octal = re.fullmatch("0[0-9]+", text)
        raise Unturned(f"{what} {text!r} is no number" + (", or an octal one to bash" if octal else ""))
    return int(text)


def duration(text: str, what: str) -> str:
    """Return seconds as a policy's time; raises Unturned."""
    return f"{whole(text, what)}s"
