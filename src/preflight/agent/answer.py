"""One prolog's request: does it need any action? Judged by the same functions as the one-shot hook, on facts at hand.

Only `ready` and `degraded` without an action are answered. Whatever else, and every doubt, is `OneShot`.
"""

from __future__ import annotations

import os
import time

from preflight import __version__, jsonio
from preflight.agent.kept import REUSE_S, Kept, Stale, scarce
from preflight.agent.memo import Memo
from preflight.agent.wire import Request
from preflight.hooks import record
from preflight.hooks.assess import Assessment, Question, assess, requirements, subjects
from preflight.hooks.run import Run, _unknown_checks
from preflight.policy.cache import PolicyInForce
from preflight.policy.model import Policy
from preflight.policy.site_files import any_files
from preflight.report.model import Report
from preflight.report.store import MAX_BYTES
from preflight.slurm.environment import Job, job_from
from preflight.slurm.gres import Gres, cached
from preflight.slurm.gres.cache import Daemon, slurm_daemon
from preflight.verdict import decide, verdict

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from preflight.facts.document import FactsDocument
    from preflight.hooks.reading import Reading

PASSES = ("ready", "degraded")
MANY = 256
LEAST_S = 0.01  # of the hook's patience, for the answer's way back


class Remembering:
    """Facts at hand, of which the memo is told which answers they are before any check runs."""

    def __init__(self, kept: Kept, memo: Memo) -> None:
        self._kept, self._memo = kept, memo
        self.source = kept.source

    def collect(self, subjects: frozenset[str], deadline: float) -> FactsDocument:
        """Return the facts of ``subjects``; raises Stale."""
        document = self._kept.collect(subjects, deadline)
        self._memo.at(self._kept.versions)
        return document


class OneShot(Exception):
    """The one-shot hook is to judge this; the text says why. ``outdated``: another version is installed."""

    outdated = False


def policy_of(config: str, node: str, run_dir: str) -> PolicyInForce:
    """Return what gives the policy in force, as a hook gets it."""
    return PolicyInForce(config, node, run_dir, _unknown_checks)


def run_of(
    policy: Policy,
    node: str,
    run_dir: str,
    reading: Reading,
    job: Job | None,
    slurm_conf: str = "",
    phase: str = "prolog",
) -> Run:
    """Return a hook's run that begins now."""
    return Run(phase, node, policy, run_dir, job, slurm_conf, time.time(), time.monotonic(), reading)


def usual_subjects(policy: Policy, node: str) -> frozenset[str]:
    """Return the facts that a prolog under ``policy`` asks for, whatever the job."""
    found: set[str] = set()
    for job in (Job(id=1), Job(id=1, gpus=(0,), gpus_text="0")):
        question = Question("prolog", node, policy, job)
        found |= subjects(question, requirements(question)[0])
    return frozenset(found)


def judged(request: Request, run: Run, kept: Kept, memo: Memo, daemon: Daemon) -> Report:
    """Return the report of a prolog that needs no action; raises OneShot.

    ``daemon``: the slurmd whose prolog asks.
    """
    job, policy = admitted(request, run, "prolog"), run.policy
    question = Question("prolog", run.node, policy, job, gres=gres(run, daemon), standing=run.standing)
    found = assessed(question, kept, run, memo)
    decision = decide("prolog", found.findings, policy)
    said = verdict(found.findings)
    if decision.kind != "none" or said not in PASSES:
        raise OneShot(f"verdict {said}: {decision.kind}")
    if scarce():  # what is read of policy, gres.conf and site for this job alone may be wrong then
        raise OneShot("no descriptors")
    if time.monotonic() > request.until - LEAST_S:
        raise OneShot("too late")
    report = record.make(run, found, decision)
    report["source"], report["ages_s"] = "agent", kept.ages
    return report


def admitted(request: Request, run: Run, phase: str) -> Job:
    """Return the job that is asked for; raises OneShot where ``phase`` is the hook's own, whatever the node is like."""
    policy = run.policy
    of_another_version(request)
    if run.job is None:
        raise OneShot("no job")
    if policy.problem:
        raise OneShot(f"policy: {policy.problem}")
    if os.path.exists(f"{policy.report.spool}/streaks-{run.node}.json"):
        raise OneShot("something has failed within a day")
    if policy.host_rows(phase):
        raise OneShot(f"the policy has [[host]] rows for {phase}s")
    if any_files(policy):
        from preflight.hooks.site.run import asks

        if asks(policy, phase, run.run_dir):
            raise OneShot(f"the site has checks of its own for {phase}s")
    return run.job


def of_another_version(request: Request) -> None:
    """Raise OneShot for the request of a hook that is not of the agent's own version."""
    if request.version != __version__:
        why = OneShot(f"the hook is of version {request.version}, the agent of {__version__}")
        why.outdated = True
        raise why


NO_FACTS = '"facts":{}'  # in JSON no text of anybody's can look so: it would have its quotes escaped


def encoded(report: Report, memo: Memo) -> str:
    """Return a report as JSON on one line; raises OneShot for one that is larger than a record may be.

    Most of it is facts, which are the same in the next one.
    """
    text = jsonio.dumps({**report, "facts": {}})
    if text.count(NO_FACTS) != 1:
        raise OneShot("the report cannot be put together")
    text = text.replace(NO_FACTS, f'"facts":{memo.facts(report["facts"])}')
    if len(text) > MAX_BYTES:
        raise OneShot("the report is too large")
    return text


def assessed(question: Question, kept: Kept, run: Run, memo: Memo | None = None) -> Assessment:
    """Return the findings on the facts at hand; raises OneShot where one is not."""
    try:
        if memo is None:
            return assess(question, kept, run.deadline)  # type: ignore[arg-type]
        reading = Remembering(kept, memo)
        return assess(question, reading, run.deadline, memo=memo)  # type: ignore[arg-type]
    except Stale as stale:
        raise OneShot(str(stale)) from None


class Daemons:
    """Which slurmd a client belongs to: looked for once a second for each parent, and each look goes up to the root."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Daemon, float]] = {}

    def of(self, process: int) -> Daemon:
        """Return the slurmd that runs ``process``."""
        now = time.monotonic()
        parent = _parent(process)
        known = self._known.get(parent)
        if known is None or now - known[1] > REUSE_S:
            if len(self._known) > MANY:
                self._known.clear()
            known = self._known[parent] = (slurm_daemon(process), now)
        return known[0]


def _parent(process: int) -> int:
    try:
        with open(f"/proc/{process}/stat", "rb", buffering=0) as file:
            return int(file.read(4096).rpartition(b")")[2].split()[1])
    except (OSError, IndexError, ValueError):
        return 0


def job_of(request: Request) -> Job | None:
    """Return the job of a request's environment."""
    return job_from(request.environment)


def gres(run: Run, daemon: Daemon) -> Gres:
    """Return the node's GPUs as Slurm's configuration gives them; not read for a job without GPUs."""
    if run.job is None or not run.job.gpus_text:
        return Gres()
    return cached(run.policy.hook.slurm_conf or run.slurm_conf, run.node, run.run_dir, daemon)
