"""A job that has ended, or of which only reports are left."""

import re
from typing import Any

from preflight.slurm.marks import marks
from preflight.submit.why.case import Case
from preflight.submit.why.failed import maybe_memory, memory_steps, memory_words, not_started
from preflight.submit.why.model import Explanation, Report, RunOutcome, Step
from preflight.submit.why.run_outcomes import because, deciding, epilogs
from preflight.submit.why.words import exit_words, is_admin, listed, verb, who_is

Finding = dict[str, Any]
_HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_GPU = re.compile(r"gpu([0-9]{1,6})")
_STATES = {
    "COMPLETED": "completed",
    "FAILED": "failed",
    "OUT_OF_MEMORY": "out-of-memory",
    "TIMEOUT": "timeout",
    "NODE_FAIL": "node-fail",
    "BOOT_FAIL": "node-fail",
    "PREEMPTED": "preempted",
    "CANCELLED": "cancelled",
    "DEADLINE": "timeout",
}


def ended(case: Case) -> Explanation:
    """Return the explanation of a job in one of Slurm's final states."""
    state = case.job.state
    mark = [one for one in marks(case.job.admin_comment) if one.kind == "cancelled"]
    now = case.of_run(case.run)
    if state in ("CANCELLED", "FAILED", "COMPLETED") and (mark or any(stay.outcome == "cancelled" for stay in now)):
        text = mark[-1].text if mark else next(stay.because for stay in now if stay.outcome == "cancelled")
        node = mark[-1].node if mark else next(stay.nodes for stay in now if stay.outcome == "cancelled")
        return _cancelled_by_us(case, node, text)
    stopped = [stay for stay in now if stay.outcome == "drained"]
    if stopped and state != "COMPLETED":
        return _stopped(case, stopped[0])
    never = not_started(case)
    if never is not None:
        return never
    kind = _STATES.get(state, "ended")
    lines = after_effects(case)
    sentence, cause, steps = _by_state(case, kind, now)
    return Explanation(case.label, kind, sentence + case.earlier(), cause, lines=lines, steps=steps + _if_changed(case))


def _cancelled_by_us(case: Case, node: str, text: str) -> Explanation:
    why, _, need = text.partition(": ")
    interactive = "interactive" in why
    said = why if why.startswith(("it was", "an interactive")) else ""
    sentence = (
        f"{case.head} was cancelled by Preflight before it started on {node}: {need or text}"
        f"{f'; it could not be moved, since {said}' if said and need else ''}."
    )
    out = node if _HOST.fullmatch(node) else "NODE"
    if interactive:
        steps: tuple[Step, ...] = (Step("Ask for another node; which nodes there are:",
                                        (f"srun --exclude={out} …", "sinfo -N -l")),)  # fmt: skip
    else:
        steps = (Step("See which nodes fit, and submit it again to those:",
                      ("preflight plan SCRIPT", "preflight sbatch SCRIPT")),)  # fmt: skip
    if not interactive:
        steps = (*steps, Step("Without --no-requeue Preflight moves it to another node instead of cancelling it."))
    return Explanation(
        case.label, "cancelled-by-preflight", sentence, "interactive" if interactive else "no-requeue", steps=steps
    )


def _stopped(case: Case, stay: RunOutcome) -> Explanation:
    sentence = (
        f"{case.head} was ended by Slurm before it started, because "
        f"{stay.nodes} {verb(stay.nodes, 'was', 'were')} found faulty, not the job: {stay.because}.{case.earlier()}"
    )
    steps = (
        Step(
            "Submit it again: Slurm starts it on another node. (A batch job that may be requeued comes back by itself.)"
        ),
        Step(f"Repair {stay.nodes}; the health check resumes it:", (f"scontrol show node {stay.nodes}",), "admin"),
    )
    return Explanation(case.label, "stopped-node-unhealthy", sentence, "node-unhealthy", steps=steps)


def _by_state(case: Case, kind: str, now: tuple[RunOutcome, ...]) -> tuple[str, str, tuple[Step, ...]]:
    """Return sentence, cause and steps of a job that ran (or was cancelled while it waited)."""
    job = case.job
    on = f" on {job.nodes}" if job.nodes else ""
    at = f" at {case.at(job.end)}" if job.end else ""
    code = exit_words(job.exit_code, case.evidence.more.lowered)
    if kind == "completed":
        sentence, cause = f"{case.head} ran to its end{on}{at} (exit code 0); {_nodes_were(now)}", _cause(now)
        return sentence, cause, _steps_after(case, now)
    if kind == "failed":
        means = f" with {code}" if code else ""
        memory, memory_step = maybe_memory(case)
        sentence = f"{case.head} failed{means}{on}{at}; {_nodes_were(now)}{memory}"
        return sentence, _cause(now), (*memory_step, *_steps_after(case, now), *_failed_steps(case, now))
    if kind == "out-of-memory":
        figures = memory_words(case.evidence.more.memory)
        sentence = (
            f"{case.head} used more memory than it asked for{on}{at} and was ended for it (OUT_OF_MEMORY)"
            f"{f': {figures}' if figures else ''}."
        )
        return sentence, "memory", memory_steps(case)
    if kind == "timeout":
        limit = "deadline" if job.state == "DEADLINE" else "time limit"
        if job.state == "DEADLINE" and not job.nodes:
            return f"{case.head} was cancelled{at}: it could no longer end before its deadline.", "deadline", (
                Step("Submit it again with a later deadline, or a shorter time limit:",
                     ("sbatch --deadline=… --time=… SCRIPT",)),
            )  # fmt: skip
        return f"{case.head} was ended at its {limit}{on}{at}.", limit.replace(" ", "-"), (
            Step("Ask for more time, or save and restart its work (checkpoint):", ("sbatch --time=… SCRIPT",)),
        )  # fmt: skip
    if kind == "node-fail":
        what = "could not be started" if job.state == "BOOT_FAIL" else "stopped answering"
        return f"{case.head} ended since a node{on} {what}{at} ({job.state}); the job is not the cause.", "node", (
            Step("Submit it again; leave that node out until it is repaired:",
                 (f"sbatch -x {job.nodes or 'NODE'} SCRIPT",)),
            Step("What Slurm says of the node:", (f"scontrol show node {job.nodes}".rstrip(),), "admin"),
        )  # fmt: skip
    if kind == "preempted":
        return (
            f"{case.head} had to give way to a job of higher priority{on}{at} (PREEMPTED).",
            "preempted",
            (Step("Submit it again, with --requeue where it may start anew."),),
        )
    if kind == "cancelled":
        by, cause = _who(case)
        began = f" while it ran{on}" if job.start and job.nodes else " while it waited"
        return f"{case.head} was cancelled{by}{began}{at}, not by Preflight.", cause, _steps_after(case, now)
    return f"{case.head} ended{on}{at}; Slurm's own word for how is {job.state}.", job.state, _steps_after(case, now)


def _who(case: Case) -> tuple[str, str]:
    uid = case.evidence.ended_by
    if uid is None:
        return " (by whom only Slurm's accounting would know)", "unknown"
    if uid == case.job.uid:
        return " by its user", "user"
    return f" by {who_is(uid)}", "admin" if is_admin(uid) else "other"


def _nodes_were(now: tuple[RunOutcome, ...]) -> str:
    """Return what the prolog had said of its nodes, as the end of a sentence."""
    if not now:
        return "no report of this run can be read here."
    worst = now[0]
    whose = f"its {verb(listed([stay.nodes for stay in now]), 'node', 'nodes')}"
    if worst.outcome in ("unfit", "unhealthy"):
        state = "did not fit" if worst.outcome == "unfit" else f"{verb(worst.nodes, 'was', 'were')} faulty"
        why = f" ({worst.spared})" if worst.spared else ""
        return f"{worst.nodes} {state}{why}: {worst.because}."
    if worst.outcome == "ready":
        return f"{whose} had passed every check."
    if worst.outcome == "unknown":
        return f"not all of it could be checked: {worst.because}."
    return f"{whose} could run it, with a warning: {worst.because}."


def _cause(now: tuple[RunOutcome, ...]) -> str:
    return now[0].outcome if now else "no-report"


def _steps_after(case: Case, now: tuple[RunOutcome, ...]) -> tuple[Step, ...]:
    return (case.report_step(),) if now else ()


def _failed_steps(case: Case, now: tuple[RunOutcome, ...]) -> tuple[Step, ...]:
    if now and now[0].outcome == "unfit":
        return (Step("That the node did not fit is the likely cause: submit it again where nodes fit."),)
    if now and now[0].outcome == "unhealthy":
        return (
            Step("The faulty node may be the cause: submit it again elsewhere.", (f"sbatch -x {now[0].nodes} SCRIPT",)),
        )
    return (Step("Preflight found no fault in its nodes: look at the job's own output."),) if now else ()


def after_effects(case: Case) -> tuple[str, ...]:
    """Return what the epilog found: a node that was faulty then, and what had changed, with whose doing it is."""
    found = []
    reports = epilogs(case.view, case.run)
    for report in reports:
        if report["verdict"] == "unhealthy":
            done = " and was drained" if report["action"]["kind"] == "drain" and report["action"]["enforced"] else ""
            fault = deciding(report)
            whose = _not_the_jobs(case, report, fault) if fault else ""
            found.append(f"{report['node']} was faulty when the job had ended{done}: {because(report)}{whose}")
        left = [one for one in report["findings"] if one["status"] in ("warn", "fail") and one["blame"] == "user"]
        found += [f"{report['node']}: {one['message']} (the job's)" for one in left]
    nodes = {report["node"] for report in reports}
    for change in case.view.changes if case.view else ():
        if change.blame == "node" and any(node in change.where for node in nodes):
            found.append(
                f"{change.where}: {change.fact} went from {change.before} to {change.after} while it ran (the node's)"
            )
    return tuple(dict.fromkeys(found))


def _not_the_jobs(case: Case, report: Report, fault: Finding) -> str:
    """Return why a fault that the epilog found cannot have harmed the job, "" where it can."""
    gpu, own = _GPU.match(fault["subject"]), report["job"]["gpus"]
    if gpu and own is not None and int(gpu[1]) not in own:
        return " (not one of the job's GPUs)"
    before = [
        one for at in (case.view.tries if case.view else ()) if at.run == case.run for earlier in at.reports
        if (earlier["phase"], earlier["node"]) == ("prolog", report["node"]) for one in earlier["findings"]
        if (one["check"], one["subject"]) == (fault["check"], fault["subject"]) and one["status"] in ("warn", "fail")
    ]  # fmt: skip
    return " (it was so before the job began)" if before else ""


def _if_changed(case: Case) -> tuple[Step, ...]:
    """Say to distrust the output where a node broke under the job, by a fault that can have harmed it."""
    bad = []
    for report in epilogs(case.view, case.run):
        faults = [one for one in report["findings"] if (one["status"], one["blame"]) == ("fail", "node")]
        if report["verdict"] == "unhealthy" and any(not _not_the_jobs(case, report, one) for one in faults):
            bad.append(report["node"])
    if not bad:
        return ()
    return (Step(f"Check its output before you trust it: {listed(bad)} may have broken while it ran."),)


def runaway(case: Case) -> Explanation:
    """Return the explanation of a job that accounting takes for alive and the controller does not know."""
    job = case.job
    sentence = (
        f"{case.head} is {job.state} by Slurm's accounting, but the controller does not know it: it is over, and "
        "slurmdbd was not told of its end (a runaway job). How it ended is not on record there."
    )
    admin = Step("Have such jobs shown, and their records ended:", ("sacctmgr show runawayjobs",), "admin")
    steps = (*_steps_after(case, case.of_run(case.run)), admin)
    return Explanation(case.label, "ended", sentence + case.earlier(), "runaway", steps=steps)


def only_reported(case: Case) -> Explanation:
    """Return the explanation of a job that neither the queue nor accounting knows (any more)."""
    last = max(stay.run for stay in case.stays)
    now = case.of_run(last)
    over = bool(epilogs(case.view, last))
    gone = (
        f"Slurm could not be asked ({case.evidence.unreached})" if case.evidence.unreached
        else "Slurm no longer knows it (it ended, and accounting is off or does not reach it)"
    )  # fmt: skip
    worst = now[0]
    nodes = worst.nodes
    done = {
        "moved": f"was moved off {nodes}: {worst.because}; what came after is not on record here",
        "held": f"was held after {nodes} did not fit: {worst.because}",
        "cancelled": f"was cancelled by Preflight on {nodes}: {worst.because}",
        "drained": f"did not start, because {nodes} {verb(nodes, 'was', 'were')} found faulty: {worst.because}",
        "unfit": f"ran although {nodes} did not fit: {worst.because} ({worst.spared})",
        "unhealthy": f"ran although {nodes} {verb(nodes, 'was', 'were')} faulty: {worst.because} ({worst.spared})",
    }.get(worst.outcome, "")
    ran = listed([stay.nodes for stay in now])
    if not done:
        done = f"{'ran' if over else 'started'} on {ran}; {_nodes_were(now).rstrip('.')}"
    sentence = f"{case.head}, by its reports, {done}. {gone}.{_earlier_than(case, last)}"
    return Explanation(case.label, "reported", sentence, worst.outcome, lines=after_effects(case._replace(run=last)),
                steps=(case.report_step(), *_if_changed(case._replace(run=last))))  # fmt: skip


def _earlier_than(case: Case, last: int) -> str:
    return case._replace(run=last).earlier()
