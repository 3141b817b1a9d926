"""A job that starts as it should is judged by one child, which may hang itself: one fork in place of one a probe.

It looks at the runtime directory, reads what may lie on a dead file system, judges, and writes the record. It does
so only where nothing is to be done but to write that down. Whatever else there is, a finding to act on, a probe that
did not end, an error, a child that is late: its parent ends it and does all anew, with each probe in a child of its own
(prolog.py). So what is decided there is decided there alone. The report of both has one identity, and one place.

So it does nothing that may not be done twice: none is started where the policy has rows that do more than read, or
users get copies, which have a time limit of their own. Nor where an earlier child hangs, or a check failed within a
day: that takes the other way in any case. Where the child was late, none is started for a while.
"""

from __future__ import annotations

import os
import time

from preflight.facts import isolate
from preflight.facts.stuck import StuckGuard
from preflight.files import read_json, tolerate, write_json
from preflight.hooks import rundir
from preflight.policy.site_files import any_files

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from preflight.facts.isolate import Child
    from preflight.hooks.run import Run
    from preflight.policy.model import Policy

LATE_S = 1.0  # what waits so long for something is late; what the machine has no time for is not, up to
MOST = 1 / 3  # of the deadline
STEP_S = 0.05
AGAIN_S = 600.0  # after a late one
STUCK = "stuck-"  # with a name and .json: facts/stuck.py
PROVEN = "stuck-nvml-call.json"  # no child that hangs: the call in which one did
SILENT = "ended without a word"


class Last:
    """Why the last run was not judged by the one child, "" where it was: asked when looking for what that costs."""

    why = ""


def passes(run: Run) -> bool:
    """Return whether the job starts as it should, which is on record then; False says nothing, all is to be done."""
    Last.why = _refused(run)
    if Last.why:
        return False
    nvml = run.reading.nvml
    most = run.began + run.policy.hook.deadline_s * MOST
    beside = None if nvml is None else nvml.child
    try:
        pid, pipe = isolate.expendable(lambda: _judge(run, most), run.deadline - time.monotonic(), beside)
    except OSError as error:
        Last.why = f"no process: {error.strerror}"
        return False
    ended = _wait(pid, pipe, beside, most)
    said = os.read(pipe, isolate.SAID) if ended else b""
    os.close(pipe)
    if said == b"+":
        if run.line is not None:
            run.line.on_record()
        return True
    gone = isolate.end(pid)  # one that said nothing, but is about to end, too
    if not ended:
        _late(run, pid, gone)
    Last.why = (said[1:].decode("utf-8", "replace") or SILENT) if ended else f"was late, {'' if gone else 'not '}ended"
    if said[:1] != b"-":  # nothing of the node's or the job's: whoever looks after Preflight should know
        from preflight.hooks import journal

        journal.say(journal.WARNING, f"phase={run.phase} node={run.node} the one child {Last.why}; all is done anew")
    return False


def _refused(run: Run) -> str:
    """Return what is known of node or policy that takes the other way, "" for nothing."""
    nvml, policy = run.reading.nvml, run.policy
    if run.job is None:
        return "no job"
    if nvml is not None and nvml.child is None:
        return "NVML"
    if policy.report.dir:
        return "report.dir"
    if any_files(policy):
        return "site checks"
    if _does_more_than_read(policy):
        return "[[host]] rows that may not be asked twice"
    if os.path.lexists(f"{policy.report.spool}/streaks-{run.node}.json"):
        return "a check failed within a day"
    try:
        names = os.listdir(run.run_dir)
    except OSError:
        return "no runtime directory"
    return next((name for name in names if _stands_against(run, name)), "")


def _does_more_than_read(policy: Policy) -> bool:
    """Return whether a row of the policy runs a command, or waits for a path or another host in its own threads."""
    rows = policy.host_asked("prolog")
    if not rows:
        return False
    from preflight.facts.host.kind import READY, kind_of

    return any(kind_of(kind).fact != READY for kind, _ in rows)


def _stands_against(run: Run, name: str) -> bool:
    """Return whether a file of the runtime directory says that a child hangs, or was late not long ago."""
    if name == f"slow-{run.node}.json":
        return _recent(f"{run.run_dir}/{name}")
    if name == PROVEN:
        return run.reading.nvml is not None
    if not (name.startswith(STUCK) and name.endswith(".json")):
        return False
    return StuckGuard(run.run_dir, name[len(STUCK) : -len(".json")]).stored() is not None


def _guard(run: Run) -> str:
    return f"passing-{run.node}"


def _recent(path: str) -> bool:
    stored = read_json(path)
    until = stored.get("until") if isinstance(stored, dict) else None
    return isinstance(until, (int, float)) and 0 < until - _up() <= AGAIN_S


def _up() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _late(run: Run, pid: int, gone: bool) -> None:
    """Remember that a child was late, and the child where SIGKILL did not end it."""
    if not gone:
        StuckGuard(run.run_dir, _guard(run)).remember(pid, "judging the job")
    with tolerate(OSError):
        write_json(f"{run.run_dir}/slow-{run.node}.json", {"until": _up() + AGAIN_S})


def _wait(pid: int, pipe: int, beside: Child | None, most: float) -> bool:
    """Return whether the child said how it ended, waiting while it comes on: what is ready to run is not late."""
    from select import POLLIN, poll

    waiter = poll()
    waiter.register(pipe, POLLIN)
    until = min(time.monotonic() + LATE_S, most)
    pids = (pid,) if beside is None else (pid, beside.pid)
    while not waiter.poll(max(0.0, (until - time.monotonic()) * 1000)):
        if time.monotonic() >= most or not any(isolate.process_state(one) == "R" for one in pids):
            return False
        until = time.monotonic() + STEP_S
    return True


def _judge(run: Run, deadline: float) -> str:
    """Return why the job does not pass, "" where it does: asked in the child, whose end means that all is done anew."""
    if not rundir.answers_here():
        return "the runtime directory does not answer"
    from preflight.hooks.prolog import passing

    return passing(run._replace(reading=run.reading._replace(longer_s=0.0)), deadline)
