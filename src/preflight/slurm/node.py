"""A node in Slurm: its state and reason, draining and resuming it."""

from __future__ import annotations

import time

from preflight.slurm.commands import Slurm, SlurmError
from preflight.slurm.fields import ask, hosts
from preflight.tuples import NamedTuple

PREFIX = "preflight:"
DRAINED = ("DRAIN", "IDLE", "MIXED", "ALLOCATED")
DRAINS = ("NodeList", "Timestamp", "StateComplete", "Reason")
STATE = ("StateComplete", "Reason", "User", "Timestamp")
AWAY = ("DRAIN", "DOWN", "FAIL")


class NodeState(NamedTuple):
    """``flags``: the state's words ("IDLE", "DRAIN"); reason, who set it and when, as Slurm prints them."""

    flags: tuple[str, ...]
    reason: str
    user: str
    time: str

    @property
    def away(self) -> bool:
        """Return whether the node is drained, down or failing already, by anyone."""
        return any(flag.startswith(AWAY) for flag in self.flags)

    @property
    def drained(self) -> bool:
        """Return whether the node is drained and nothing else is amiss; jobs may run or be leaving."""
        return "DRAIN" in self.flags and all(flag in (*DRAINED, "COMPLETING") for flag in self.flags)

    @property
    def only_drained(self) -> bool:
        """Return whether DRAIN is the only flag beside the base state of a sound node."""
        return "DRAIN" in self.flags and all(flag in DRAINED for flag in self.flags)


def read(slurm: Slurm, node: str) -> NodeState:
    """Return the node's state, all of one moment; raises SlurmError."""
    rows = ask(slurm, "sinfo", ("-a", "-n", node), STATE)
    if not rows:
        raise SlurmError(f"Slurm does not know node {node}")
    state, *others = rows[0]
    return NodeState(flags(state), *(text.strip() for text in others))


def flags(text: str) -> tuple[str, ...]:
    """Return the words of a state as sinfo's StateComplete has it: ("IDLE", "DRAIN") of "idle+drain"."""
    words = (word.strip() for word in text.upper().replace("*", "").split("+"))
    return tuple({"DRAINED": "DRAIN", "DRAINING": "DRAIN"}.get(word, word) for word in words)


def stamp(seconds: float) -> str:
    """Return a time (seconds since the epoch) as Slurm's commands print it in NodeState.time."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(seconds))


def drain(slurm: Slurm, node: str, reason: str) -> None:
    """Drain ``node``. Only for a node that is not away already: the command overwrites an existing reason."""
    slurm.run("scontrol", "update", f"NodeName={node}", "State=DRAIN", f"Reason={reason}")


def resume(slurm: Slurm, node: str) -> None:
    """Resume ``node``."""
    slurm.run("scontrol", "update", f"NodeName={node}", "State=RESUME")


def drained_by_us(slurm: Slurm) -> list[tuple[str, str]]:
    """Return (time, node) of every drained node whose reason is ours, oldest first.

    24.11 leaves the reason on a node that was resumed. Without -N: with it sinfo takes 20 s for 10,000 nodes.
    """
    found: set[tuple[str, str]] = set()
    for names, when, state, reason in ask(slurm, "sinfo", ("-a", "-t", "drain"), DRAINS):
        if reason.strip().startswith(PREFIX) and "DRAIN" in state.upper():
            found.update((when.strip(), name) for name in hosts(names))
    return sorted(found)


def count_nodes(slurm: Slurm) -> int:
    """Return how many nodes the cluster has; raises SlurmError."""
    said = slurm.run("sinfo", "-h", "-a", "-o", "%D").split()
    if not all(number.isascii() and number.isdigit() for number in said):
        raise SlurmError(f"sinfo said {said[0][:20]!r} where a number of nodes should be")
    return sum(int(number) for number in said)
