"""Reservations as slurmctld has them; their names and nodes are the admins'."""

from __future__ import annotations

import re

from preflight.hostlist import HostlistError, names
from preflight.slurm.commands import Slurm, lines
from preflight.tuples import NamedTuple

_LINE = re.compile(r"ReservationName=(\S+) StartTime=(\d+) EndTime=(\d+) ")
_NODES = re.compile(r" Nodes=(\S+) NodeCnt=")
_FLAGS = re.compile(r" Flags=(\S*) ")


class Reservation(NamedTuple):
    """One reservation; times are seconds since the epoch. ``maintenance``: no job that is not for it runs then."""

    name: str
    start: int
    end: int
    nodes: frozenset[str]
    maintenance: bool


def reservations(slurm: Slurm) -> list[Reservation]:
    """Return all reservations, the earliest first; raises SlurmError."""
    out = slurm._replace(time_format="%s").run("scontrol", "-o", "show", "reservation")
    found = []
    for line in lines(out):
        head, nodes, flags = _LINE.match(line), _NODES.search(line), _FLAGS.search(line)
        if head is None or nodes is None:
            continue
        try:
            on = frozenset(names(nodes[1])) if nodes[1] != "(null)" else frozenset()
        except HostlistError:
            continue
        kinds = (flags[1] if flags else "").split(",")
        found.append(Reservation(head[1], int(head[2]), int(head[3]), on, "MAINT" in kinds))
    return sorted(found, key=lambda one: (one.start, one.name))
