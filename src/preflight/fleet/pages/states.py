"""The nodes' states as Slurm has them: asked in the background, at most every few seconds, however many look."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from preflight.digits import is_whole
from preflight.hostlist import HostlistError, names
from preflight.slurm.commands import Slurm, SlurmError, lines

FRESH_S = 15.0
TIMEOUT_S = 10.0
LARGEST = 16 << 20  # bytes: 10,000 nodes in several partitions, with reasons
OUT = ("drain", "down", "fail", "error", "inval")
# Slurm gives it jobs; other words may hide a drain ("maint", "reboot", "reserved").
TAKES_JOBS = ("idle", "allocated", "mixed", "completing")
OURS = "preflight:"


class State(NamedTuple):
    """A node's: ``state`` Slurm's word ("drained"), ``reason`` with who set it and when (ms, None not known)."""

    state: str
    reason: str
    user: str
    since_ms: int | None

    @property
    def out(self) -> bool:
        """Return whether Slurm gives the node no jobs."""
        return any(word in self.state for word in OUT)

    @property
    def takes_jobs(self) -> bool:
        """Return whether Slurm surely gives the node jobs."""
        return self.state in TAKES_JOBS

    @property
    def ours(self) -> bool:
        """Return whether the reason is one that Preflight wrote."""
        return self.reason.startswith(OURS)


class States(NamedTuple):
    """``nodes``: name -> state; ``problem``: why they are not known, "" where they are.

    ``cluster``: whose nodes they are, "" where Slurm did not say.
    """

    nodes: dict[str, State]
    at_ms: int
    problem: str
    cluster: str = ""

    def about(self, cluster: str) -> dict[str, State]:
        """Return the states of a cluster's nodes, none for one that the asked Slurm does not speak of."""
        return self.nodes if not (cluster and self.cluster) or cluster == self.cluster else {}

    def of(self, cluster: str, node: str) -> State | None:
        """Return a node's state, None where Slurm was not asked or does not know it."""
        return self.about(cluster).get(node)


NONE = States({}, 0, "Slurm has not been asked yet")


class Watch:
    """Keeps the states fresh while somebody looks; ``slurm`` returns the way to the cluster, or None.

    ``cluster``: as reports name it; "" asks Slurm.
    """

    def __init__(self, slurm: Callable[[float], Slurm] | None, cluster: str = "") -> None:
        self._slurm = slurm
        self._cluster = cluster
        self._states = NONE if slurm else States({}, 0, "Slurm is not asked here")
        self._asked = 0.0
        self._lock = threading.Lock()

    @property
    def asks(self) -> bool:
        """Return whether there is a Slurm to ask."""
        return self._slurm is not None

    def states(self) -> States:
        """Return what is known now; where that is old, a thread asks anew. Never waits."""
        if self._slurm is not None and time.monotonic() - self._asked > FRESH_S and self._lock.acquire(blocking=False):
            self._asked = time.monotonic()
            threading.Thread(target=self._ask, daemon=True, name="slurm").start()
        return self._states

    def ask(self) -> States:
        """Ask Slurm now, wait for it, and return what it says; no node where it does not answer."""
        if self._slurm is not None:
            self._lock.acquire()
            self._ask()
        return self._states

    def _ask(self) -> None:
        try:
            assert self._slurm is not None
            self._states = read(self._slurm(time.monotonic() + TIMEOUT_S), self._cluster)
            self._cluster = self._states.cluster
        except SlurmError as error:
            self._states = States({}, self._states.at_ms, str(error))
        finally:
            self._asked = time.monotonic()
            self._lock.release()


def read(slurm: Slurm, cluster: str = "") -> States:
    """Return the nodes' states; ``cluster``: theirs, "" asks Slurm for its name. Raises SlurmError."""
    its = slurm._replace(each_s=TIMEOUT_S, limit=LARGEST, time_format="%s")
    # Without -N, which takes 16 s and more for 10,000 nodes.
    # The reason stands last: an admin may have written anything there.
    found = parse(its.run("sinfo", "-h", "-o", "%N|%T|%u|%H|%E"))
    if not cluster:
        with contextlib.suppress(SlurmError):  # then the states are taken for those of every node of these names
            cluster = _name(its.run("scontrol", "show", "config"))
    return States(found, round(time.time() * 1000), "", cluster)


def _name(config: str) -> str:
    """Return the ClusterName in what `scontrol show config` prints, "" where it is not there."""
    for line in lines(config):
        key, equals, value = line.partition("=")
        if equals and key.strip() == "ClusterName":
            return value.strip()
    return ""


def parse(text: str) -> dict[str, State]:
    """Return name -> state from sinfo's lines, each of a host list; a node comes once for each of its partitions."""
    found = {}
    for line in lines(text):
        name, *rest = line.split("|", 4)
        if len(rest) == 4:
            state, user, at, reason = rest
            since = int(at) * 1000 if is_whole(at) and 0 < int(at) < 1 << 40 else None
            none = reason in ("none", "")
            its = State(state.rstrip("*~#!%$@^-+"), "" if none else reason, "" if none else user, since)
            with contextlib.suppress(HostlistError):
                found.update(dict.fromkeys(names(name), its))
    return found
