"""A node in Slurm: its state and reason, draining and resuming it."""

from __future__ import annotations

import time

from preflight.digits import is_whole
from preflight.files import tolerate
from preflight.slurm.commands import Slurm, SlurmError, lines
from preflight.slurm.fields import ask, hosts
from preflight.tuples import NamedTuple

PREFIX = "preflight:"
# The last two say what kind of node it is, and never go away.
DRAINED = ("DRAIN", "IDLE", "MIXED", "ALLOCATED", "CLOUD", "DYNAMIC_NORM")
# Jobs that are leaving or are to come; nothing of it is amiss, and a node may be reserved for months.
EMPTY = ("DRAIN", "IDLE", "CLOUD", "DYNAMIC_NORM")
BESIDE = ("COMPLETING", "RESERVED", "PLANNED")
STATE = ("StateComplete", "Reason", "User", "Timestamp")
NODES = ("NodeList", *STATE)
WHOLE = 64 << 20  # bytes of sinfo's answer where each of many thousand nodes has a row of its own
# What Slurm appends to a reason, user and time becoming its own: 24.11 and later where a drained node is away for
# SlurmdTimeout; all releases where `scontrol reboot` sends the reboot, and where the node is not back by ResumeTimeout.
NOT_RESPONDING = " : Not responding"
REBOOT_ISSUED, REBOOT_TIMED_OUT = " : reboot issued", " : reboot timed out"
APPENDED = (NOT_RESPONDING, REBOOT_ISSUED, REBOOT_TIMED_OUT)
# Flags of a node whose reboot is asked for, or under way.
REBOOTS = ("REBOOT_REQUESTED", "REBOOT_ISSUED")
HOLDING = "CONFIGURING,RUNNING,SUSPENDED,STOPPED,COMPLETING,SIGNALING,STAGE_OUT,RESIZING,SPECIAL_EXIT"
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
        """Return whether the node is drained and nothing else is amiss; it may have jobs, or be reserved for some."""
        return "DRAIN" in self.flags and all(flag in (*DRAINED, *BESIDE) for flag in self.flags)

    @property
    def only_drained(self) -> bool:
        """Return whether DRAIN is the only flag beside the base state of a sound node."""
        return "DRAIN" in self.flags and all(flag in DRAINED for flag in self.flags)

    @property
    def came_back_drained(self) -> bool:
        """Return whether the node is drained and DOWN and answers again: with ReturnToService 0 or 1 what a reboot of a
        drained node leaves."""
        return {"DRAIN", "DOWN"} == set(self.flags)

    @property
    def stem(self) -> str:
        """Return the reason without what Slurm appended to it when the node was rebooted."""
        stem = self.reason
        while stem.endswith(APPENDED):
            stem = stem.rpartition(" : ")[0]
        return stem

    @property
    def empty(self) -> bool:
        """Return whether the node is drained, nothing else is amiss, and Slurm has no job on it."""
        return "DRAIN" in self.flags and all(flag in EMPTY for flag in self.flags)

    @property
    def reboots(self) -> bool:
        """Return whether a reboot of the node is asked for, or under way."""
        return any(flag in REBOOTS for flag in self.flags)

    @property
    def ours(self) -> bool:
        """Return whether the node is away because of us: drained with a reason of ours, to which nothing else was
        appended, or rebooted so and not back by ResumeTimeout (then Slurm has taken DRAIN off).

        24.11 leaves a reason on a node that was resumed, and appends the next one to it.
        """
        away = "DRAIN" in self.flags or ("DOWN" in self.flags and self.reason.endswith(REBOOT_TIMED_OUT))
        return away and self.stem.startswith(PREFIX) and " : " not in self.stem


class Look(NamedTuple):
    """All nodes at one moment: the state of ours, how many there are, (time, node) of each drain with our reason.

    ``ours`` is in order of time, then name: the same for every node that looks.
    """

    state: NodeState
    nodes: int
    ours: tuple[tuple[str, str], ...]

    def rank(self, node: str) -> int:
        """Return how many of our drains stand before that of ``node``, all of them where it has none."""
        names = [name for _, name in self.ours]
        return names.index(node) if node in names else len(names)


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


def instants(text: str) -> list[float]:
    """Return the seconds since the epoch that a time of Slurm's commands may be: two in the hour that the clock change
    in autumn repeats, none of what is no time."""
    parts = text.replace("T", "-").replace(":", "-").split("-")
    if len(parts) != 6 or not all(is_whole(one, 4) for one in parts):
        return []
    year, month, day, hour, minute, second = map(int, parts)
    found = []
    for summer in (1, 0):
        with tolerate((OverflowError, ValueError)):
            found.append(time.mktime((year, month, day, hour, minute, second, 0, 1, summer)))
    return [one for one in found if stamp(one) == text]


def not_before(text: str, other: str) -> bool:
    """Return whether the time ``text`` may be that of ``other`` or a later one; both as Slurm's commands print them."""
    ours, theirs = instants(text), instants(other)
    return max(ours) >= min(theirs) if ours and theirs else text >= other


def drain(slurm: Slurm, node: str, reason: str) -> None:
    """Drain ``node``. Only for a node that is not away already: the command overwrites an existing reason."""
    slurm.run("scontrol", "update", f"NodeName={node}", "State=DRAIN", f"Reason={reason}")


def resume(slurm: Slurm, node: str) -> None:
    """Resume ``node``."""
    slurm.run("scontrol", "update", f"NodeName={node}", "State=RESUME")


def reboot(slurm: Slurm, node: str) -> None:
    """Ask Slurm to reboot a drained ``node`` once no job is on it; raises SlurmError.

    Without ASAP and nextstate=, which take DRAIN off as the node registers (docs/slurm.md): it stays drained until it
    is found well. Exit status 0 says nothing: a node whose state does not allow it is skipped.
    """
    slurm.run("scontrol", "reboot", node)


def jobs_on(slurm: Slurm, node: str) -> list[str]:
    """Return the ids of the jobs that hold ``node``, suspended and completing ones among them; raises SlurmError."""
    return slurm.run("squeue", "-h", "-a", "-w", node, "-t", HOLDING, "-o", "%A").split()


def reboot_program(slurm: Slurm) -> str:
    """Return RebootProgram of the configuration, "" where there is none; raises SlurmError."""
    from preflight.slurm.fields import value

    for line in lines(slurm.run("scontrol", "show", "config")):
        key, _, text = line.partition("=")
        if key.strip() == "RebootProgram":
            return value(text)
    return ""


def look(slurm: Slurm, node: str) -> Look:
    """Return ``node``'s state and all drains that are ours, in one command; raises SlurmError.

    `NodeState.ours` says which count. Without -N: with it sinfo takes 20 s for 10,000 nodes.
    """
    every: set[str] = set()
    ours: set[tuple[str, str]] = set()
    own = None
    for names, *fields in ask(slurm._replace(limit=WHOLE), "sinfo", ("-a",), NODES):
        here = hosts(names)
        every.update(here)
        words, *texts = (text.strip() for text in fields)
        state = NodeState(flags(words), *texts)
        if state.ours:
            ours.update((state.time, name) for name in here)
        if node in here:
            own = state
    if own is None:
        raise SlurmError(f"Slurm does not know node {node}")
    return Look(own, len(every), tuple(sorted(ours)))


def slurm_user(slurm: Slurm) -> str:
    """Return the name of SlurmUser, under which Slurm itself sets reasons; raises SlurmError."""
    for line in lines(slurm.run("scontrol", "show", "config")):
        key, _, value = line.partition("=")
        if key.strip() == "SlurmUser":
            return value.strip().partition("(")[0]
    raise SlurmError("scontrol show config names no SlurmUser")
