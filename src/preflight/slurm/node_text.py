"""Nodes from `scontrol show node`: one linear answer on every release, however much the nodes differ.

Its text is read only where it is proven that nothing that anyone wrote made a line of it: ``-o`` puts each node on one
line, so as many lines as nodes means that no text holds a newline, and in the long form each line is then Slurm's own.
A Reason's newlines are no exception: scontrol indents what follows them, and such a line is refused here.
"""

from __future__ import annotations

import re

from preflight.slurm.commands import Slurm
from preflight.slurm.fields import value, words
from preflight.slurm.models import Node
from preflight.slurm.node import flags

LONG = ("-a", "show", "node")
SHORT = ("-a", "-o", "show", "node")
# "   CPUAlloc=0 CPUEfctv=4 CPUTot=4 CPULoad=0.30": of these lines the words are numbers and names of Slurm's.
_CPUS = re.compile(r"   CPUAlloc=\d+ (?:CPUEfctv=\d+ )?CPUTot=(\d+) ")
_MEMORY = re.compile(r"   RealMemory=(\d+) ")
_STATE = re.compile(r"   State=(\S+) ")
_SET_BY = re.compile(r" \[[^][\s@]+@[^][\s@]+\]$")  # who set the reason, and when
_WHOLE = ("AvailableFeatures", "ActiveFeatures", "Gres", "Partitions", "Reason", "Extra")


class NotProven(Exception):
    """The text may hold lines that are not Slurm's own, or is not of a form that is known: read another way."""


def read(slurm: Slurm) -> list[Node]:
    """Return all nodes; raises SlurmError where Slurm does not answer, NotProven where its text must not be read."""
    return parsed(slurm.run("scontrol", *LONG), slurm.run("scontrol", *SHORT))


def parsed(long: str, short: str) -> list[Node]:
    """Return the nodes of the long form, which the one-line form of the same nodes proves; raises NotProven."""
    lines = {line.partition(" ")[0]: line for line in short.removesuffix("\n").split("\n")}
    records = long.rstrip("\n").split("\n\n")
    if short.count("\n") != len(lines) or len(lines) != len(records):
        raise NotProven("a text holds a newline")
    found = []
    for record in records:
        name = record.partition(" ")[0]
        node, extra = _node(name, record.split("\n"))
        if name not in lines or (extra and f" Extra={extra}" not in lines[name]):
            raise NotProven(f"{name[:60]} changed meanwhile")
        found.append(node)
    return found


def _node(name: str, lines: list[str]) -> tuple[Node, str]:
    """Return the node of a record's lines, and its Extra as printed."""
    if not name.startswith("NodeName="):
        raise NotProven("no NodeName")
    texts: dict[str, str] = {}
    cpus = memory = state = None
    for line in lines[1:]:
        if not line.strip():
            continue  # 24.11.5 ends a node's text with a line of blanks
        key, equals, text = line[3:].partition("=")
        if not equals or line[:3] != "   " or not key.isalnum() or key in texts:
            raise NotProven(f"a line of {name[:60]} is no field")
        texts[key] = text
        if key == "CPUAlloc":
            cpus = _CPUS.match(line)
        elif key == "RealMemory":
            memory = _MEMORY.match(line)
        elif key == "State":
            state = _STATE.match(line)
    if cpus is None or memory is None or state is None:
        raise NotProven(f"{name[:60]} has no CPUs, memory or state")
    features, active, gres, partitions, reason, extra = (texts.get(key, "") for key in _WHOLE)
    node = Node(
        name.removeprefix("NodeName="),
        flags(state[1]),
        value(_SET_BY.sub("", reason)),
        words(partitions),
        words(features),
        words(active),
        value(extra),
        value(gres),
        int(cpus[1]),
        int(memory[1]),
    )
    return node, extra
