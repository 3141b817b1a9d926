"""Nodes from `scontrol show node`: one linear answer on every release, however much the nodes differ.

Whatever anyone wrote into an Extra, a comment or a reason, each line is known to be Slurm's own or a text's. scontrol
prints the same fields twice: with ``-o`` a blank stands where the long form has a new line and three blanks, and a
newline that is part of a text is a newline in both. So the two are read side by side. A Reason's lines scontrol parts
itself, in the long form by a new line and ten blanks, and leaves out empty ones: so they are in Node.reason.
"""

from __future__ import annotations

import re

from preflight.slurm.at_once import at_once
from preflight.slurm.commands import Slurm
from preflight.slurm.fields import value, words
from preflight.slurm.models import Node
from preflight.slurm.node import flags

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterator

LONG = ("-a", "show", "node")
SHORT = ("-a", "-o", "show", "node")
TRIES = 3  # of reading both forms, where nodes changed in between so that the one does not prove the other
JOINT = "\n   "  # parts fields in the long form; " " does in the other
START = "NodeName="
# "   CPUAlloc=0 CPUEfctv=4 CPUTot=4 CPULoad=0.30": of these lines the words are numbers and names of Slurm's.
_CPUS = re.compile(r"CPUAlloc=\d+ (?:CPUEfctv=\d+ )?CPUTot=(\d{1,18}) ")
_MEMORY = re.compile(r"RealMemory=(\d{1,18}) ")
_STATE = re.compile(r"State=(\S+) ")
_SET_BY = re.compile(r" \[[^][\s@]+@[^][\s@]+\]$")  # who set the reason, and when
_KEY = re.compile(r"[A-Za-z]\w*=")
_WHOLE = ("AvailableFeatures", "ActiveFeatures", "Gres", "Partitions", "Reason", "Extra")
_REASONS = "       "  # before each further line of a Reason, after the joint
# Lines without anyone's text whose numbers change all the time.
_CHANGING = frozenset({
    "CPUAlloc", "NodeAddr", "OS", "RealMemory", "State", "BootTime", "LastBusyTime", "AllocTRES",
    "CapWatts", "CurrentWatts", "ExtSensorsJoules",
})  # fmt: skip


class NotProven(Exception):
    """The two forms are not of the same nodes, or not of a form that is known: read another way."""


def read(slurm: Slurm) -> list[Node]:
    """Return all nodes; raises SlurmError where Slurm does not answer, NotProven where its text must not be read."""
    for attempt in range(TRIES):
        long, short = at_once(lambda: slurm.run("scontrol", *LONG), lambda: slurm.run("scontrol", *SHORT))
        try:
            return parsed(long, short)
        except NotProven:
            if attempt == TRIES - 1:
                raise
    raise AssertionError("unreachable")


def parsed(long: str, short: str) -> list[Node]:
    """Return the nodes of the long form, which the one-line form of the same nodes proves; raises NotProven."""
    rows = short.removesuffix("\n").split("\n")
    records = long.rstrip("\n").split("\n\n")
    names = {row.partition(" ")[0]: row for row in rows}
    if len(rows) == len(names) == len(records) and all(row.startswith(START) for row in rows):
        return _plain(records, names)  # no text holds a newline, so every line is Slurm's own
    return [_node(fields) for fields in aligned(long, short)]


def _plain(records: list[str], rows: dict[str, str]) -> list[Node]:
    found = []
    for record in records:
        fields = record.split(JOINT)
        name = fields[0].partition(" ")[0]
        if name not in rows or record.count("\n") != len(fields) - 1:
            raise NotProven(f"{name[:60]} is not of the known form")
        extra = next((field for field in reversed(fields) if field.startswith("Extra=")), "")
        if extra and f" {extra}" not in rows[name]:
            raise NotProven(f"{name[:60]} changed meanwhile")
        found.append(_node(fields))
    return found


def aligned(long: str, short: str) -> Iterator[list[str]]:
    """Yield each node's fields ("Extra=…", whole, with the newlines that are part of them); raises NotProven.

    A newline of the short form is a text's or a node's end. After a node's end the short form goes on with "NodeName=",
    where a text would go on with a newline or a blank, so only one of the two can be true.
    """
    rows = short.split("\n")
    if rows.pop() or not rows:
        raise NotProven("the short form does not end with a newline")
    at, row = 0, 0
    while row < len(rows):
        whole = rows[row]
        end = long.find("\n\n", at)
        last = row + 1 == len(rows)
        if end >= 0 and (last or rows[row + 1].startswith(START)) and long[at:end].replace(JOINT, " ") == whole:
            yield long[at:end].split(JOINT)
            at, row = end + 2, row + 1
            continue
        fields, at, row = _side_by_side(long, at, rows, row)
        yield fields
    if at != len(long):
        raise NotProven("the long form has more nodes")


def _side_by_side(long: str, at: int, rows: list[str], row: int) -> tuple[list[str], int, int]:
    """Return the fields of the node that begins at ``at`` and at ``rows[row]``, and where the next one begins."""
    fields: list[str] = []
    text, done = rows[row], 0
    while True:
        end = long.find("\n", at)
        if end < 0:
            raise NotProven("the long form ends in the middle of a node")
        line = long[at:end]
        if fields and done == 0:  # after a text's own newline
            fields[-1] += "\n" + line
        else:
            fields.append(line)
        at = end + 1
        done = _after(text, done, line, fields[-1], long, at)
        if done < len(text):
            if text[done] != " " or not long.startswith("   ", at):
                raise NotProven("the two forms differ")
            at, done = at + 3, done + 1
            continue
        row += 1
        over = row == len(rows) or rows[row].startswith(START)
        if over and long.startswith("\n", at):
            return fields, at + 1, row
        if row == len(rows):
            raise NotProven("the short form ends in the middle of a node")
        text, done = rows[row], 0


def _after(text: str, done: int, line: str, field: str, long: str, at: int) -> int:
    """Return where ``text`` goes on behind ``line``, which stands at ``done``, or did a moment ago."""
    if text.startswith(line, done):
        return done + len(line)
    key = field.partition("=")[0]
    following = _KEY.match(long, at + 3) if long.startswith("   ", at) else None
    if key not in _CHANGING or not following or not text.startswith(f"{key}=", done):
        raise NotProven("the two forms differ")
    found = text.find(f" {following[0]}", done)
    if found < 0:
        raise NotProven("the two forms differ")
    return found


def _node(fields: list[str]) -> Node:
    """Return the node of its fields as the long form has them."""
    name = fields[0].partition(" ")[0]
    if not name.startswith(START):
        raise NotProven("no NodeName")
    texts: dict[str, str] = {}
    last = ""
    for field in fields[1:]:
        if last == "Reason" and field.startswith(_REASONS):
            texts[last] += "\n" + field[len(_REASONS) :]
            continue
        if not field.strip():
            continue  # 24.11.5 ends a node's text with a line of blanks
        key, equals, text = field.partition("=")
        if not equals or not key.isalnum() or key in texts:
            raise NotProven(f"a line of {name[:60]} is no field")
        if key == "Reason":
            text = _SET_BY.sub("", text)
        texts[key], last = text, key
    cpus, memory, state = (
        form.match(f"{key}={texts.get(key, '')} ")
        for form, key in ((_CPUS, "CPUAlloc"), (_MEMORY, "RealMemory"), (_STATE, "State"))
    )
    if cpus is None or memory is None or state is None:
        raise NotProven(f"{name[:60]} has no CPUs, memory or state")
    features, active, gres, partitions, reason, extra = (texts.get(key, "") for key in _WHOLE)
    return Node(
        name.removeprefix(START),
        flags(state[1]),
        value(reason),
        words(partitions),
        words(features),
        words(active),
        value(extra),
        value(gres),
        int(cpus[1]),
        int(memory[1]),
    )
