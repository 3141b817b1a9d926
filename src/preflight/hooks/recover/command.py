"""The step of a site's command: a program and its arguments, confined, told of the finding by its environment."""

from __future__ import annotations

import errno
import os
import time

from preflight.facts.confine import PATH, confined, end_with_parent
from preflight.facts.isolate import Channel, run_child
from preflight.hooks.cluster import cluster_of
from preflight.hooks.recover.ladder import Rung
from preflight.hooks.run import Run
from preflight.tuples import NamedTuple

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from preflight.facts.confine import Tell

CLEAN_S = 0.75  # to end what it started, and hear of it
LEFT_S = 2.0  # kept for that, for its record on a slow disk (a second at most), and for the report
LEAST_S = 0.5
SHOWN = 200  # characters of what it wrote
MAX_TEXT = 4096  # characters of what it is told


class Ran(NamedTuple):
    """How it ended: ``why`` it did not do so well, "" where it did; the last line that it wrote."""

    why: str
    last: str


def time_for(run: Run) -> float:
    """Return the seconds that the command has in this health check, 0.0 where they are too few to begin it."""
    left = min(run.policy.recover.command_s, run.deadline - time.monotonic() - LEFT_S)
    return left if left >= min(LEAST_S, run.policy.recover.command_s) else 0.0


def command(run: Run, rung: Rung, evidence: str, seconds: float) -> Ran:
    """Run the command of ``rung``; never raises."""
    words = run.policy.recover.commands[rung.step]
    told = {
        "PREFLIGHT_NODE": run.node,
        "PREFLIGHT_CLUSTER": cluster_of(run),
        "PREFLIGHT_STEP": rung.step,
        "PREFLIGHT_CHECK": rung.finding.check,
        "PREFLIGHT_SUBJECT": rung.finding.subject,
        "PREFLIGHT_MESSAGE": rung.finding.message,
        "PREFLIGHT_EVIDENCE": evidence,
    }

    def child(channel: Channel) -> None:
        end_with_parent()

        def inner(tell: Tell) -> None:
            from preflight.owned import refused_program

            why = refused_program(words[0])
            if why:
                raise PermissionError(errno.EPERM, f"not run: {why if why.startswith('/') else f'{words[0]} {why}'}")
            os.execve(
                words[0],
                words,
                {**os.environ, "PATH": PATH, **{key: clean(one)[:MAX_TEXT] for key, one in told.items()}},
            )

        ended = confined(inner, seconds, node=run.node)
        failed = f"exit status {ended.status}" if ended.status else ""
        why = ended.why or (f"ended by signal {ended.signal}" if ended.signal else failed)
        last = (ended.errors.strip() or ended.output.strip()).rpartition(b"\n")[2].decode("utf-8", "replace")
        channel.tell({"why": why, "last": clean(last)[:SHOWN]})

    try:
        outcome = run_child(f"command {rung.step}", child, seconds + CLEAN_S)
    except OSError as error:
        return Ran(f"no process could be started: {error.strerror}", "")
    if not outcome.messages:
        return Ran(outcome.why(), "")
    return Ran(str(outcome.messages[0]["why"]), str(outcome.messages[0]["last"]))


def clean(text: str) -> str:
    """Return printable text: what the kernel's log or a device says is none of ours."""
    return "".join(one if one.isprintable() else "?" for one in text)
