"""The health check: the whole node, and what earlier hooks left half done."""

from __future__ import annotations

import time

from preflight.hooks import answered, counters, inventory, record, upkeep
from preflight.hooks.apart import Own
from preflight.hooks.assess import Assessment, Question, assess
from preflight.hooks.clock import jump
from preflight.hooks.drain import Drained, correct, resume_ours
from preflight.hooks.drained import cause_check, count_well, is_replaced, is_well, ours, waits
from preflight.hooks.ends import ends
from preflight.hooks.prolog import act, flaps, gres, over_time
from preflight.hooks.repair import repair
from preflight.hooks.run import Run
from preflight.slurm.gres import conf_directory
from preflight.slurm.node_conf import configured
from preflight.verdict import decide

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any


FLAPPING = "flapping"
LEAST_S = 1.0  # for the probes, where a slow controller has used up their time


def health(run: Run) -> int:
    """Judge the node, drain or resume it, finish or undo what was left, deliver what waits; always returns 0."""
    if run.line is None:
        Own(run.config, run.node, run.run_dir, run.slurm_conf).mark(run.policy)
    jumped = jump(run.run_dir, run.node)
    acts = not run.killed and run.policy.mode == "enforce"
    had = ours(run) if acts else None
    # Before the probes are waited for: a driver that hangs would leave no time for it.
    corrected = correct(run, run.slurm()._replace(deadline=run.probe_deadline)) if acts else None
    if had is not None and corrected is None and ours(run) is None:
        from preflight.hooks.handled import forgotten

        forgotten(run, had)
    before = counters.earlier(run.run_dir, run.node)
    question = Question(
        run.phase,
        run.node,
        run.policy,
        None,
        gres=gres(run),
        standing=run.standing,
        clock_jump_s=jumped,
        flaps=flaps(run),
        earlier=before,
        samples=counters.samples(run.policy, run.node, run.phase),
        last_boot=inventory.last_boot(run.policy.report.spool, run.node),
        configured=configured(_conf_directory(run), run.node),
        ends=ends(run),
    )
    found = assess(question, run.reading, max(run.probe_deadline, time.monotonic() + LEAST_S))
    counters.keep(run.run_dir, run.node, found.document, before)
    counters.keep_samples(run.policy, run.node, run.phase, found.document)
    found = over_time(run, found)
    ladder = bool(run.policy.recover.steps)
    if ladder:
        from preflight.hooks.recover.run import recover, uncured, would

        found = uncured(run, found)
    decision = decide(run.phase, found.findings, run.policy, run.killed)
    report = record.make(run, found, decision)
    if decision.kind != "none" and decision.enforced:
        act(run, found, decision, report)
        if ladder and report["action"]["kind"] == "none" and report["action"]["enforced"] and corrected is None:
            report["action"] = recover(run, run.slurm(), found, report) or report["action"]
    elif ladder and decision.kind == "drain" and not acts:
        report["action"]["detail"] += would(run, found)
    elif acts:
        resumed = _resume(run, found) or corrected
        if resumed is not None:
            kind = "none" if resumed.kind == "none" else "resume"
            report["action"] = {"kind": kind, "detail": resumed.detail, "enforced": resumed.enforced}
    recorded = record.finish(run, report)
    if run.policy.metrics.textfile:
        from preflight.hooks import textfile

        textfile.keep(run, report)
    if corrected is not None and not corrected.enforced:
        correct(run, run.slurm())  # a controller that was too slow before the probes has a second chance
    if not recorded:
        return 0  # the spool is full, frozen or gone: what follows works in it
    inventory.keep(run.policy.report.spool, run.node, found.document)
    repair(run)
    if run.policy.publish.enabled:
        from preflight.hooks.publish import tell

        tell(run, found.document)
    upkeep.deliver(run)
    answered.deliver(run)
    if not jumped:
        upkeep.prune(run)
    return 0


def _conf_directory(run: Run) -> str:
    return conf_directory(run.policy.hook.slurm_conf or run.slurm_conf)


def _resume(run: Run, found: Assessment) -> Drained | None:
    record = ours(run)
    if record is None:
        return None
    well = is_well(record, found.findings, found.document)
    count_well(run, record, well)
    if not well:
        return None
    if not is_replaced(record, found.document):
        why = waits(record, run.policy) or _flaps(found, record)
        if why:
            return Drained(f"not resumed yet: {why}", True, "none")
    return resume_ours(run, run.slurm())


def _flaps(found: Assessment, record: dict[str, Any]) -> str:
    """Return why a node that comes and goes is left to an admin, "" where it does not."""
    check = cause_check(record)
    if any(one.check == FLAPPING and one.status != "pass" and one.subject == check for one in found.findings):
        return f"{check} flaps"
    return ""
