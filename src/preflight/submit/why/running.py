"""A job that has nodes: it runs, its nodes are still being checked, or it is leaving them."""

from preflight.hostlist import folded
from preflight.submit.why.case import Case
from preflight.submit.why.model import Explanation, RunOutcome, Step
from preflight.submit.why.words import verb

RUNNING = ("RUNNING", "SUSPENDED", "STOPPED", "RESIZING", "SIGNALING", "STAGE_OUT")
LEAVING = ("COMPLETING",)
STARTING = ("CONFIGURING",)
_POWER = frozenset(("POWERING_UP", "POWER_UP", "POWERED_DOWN", "POWERING_DOWN"))


def running(case: Case) -> Explanation:
    """Return the explanation of a job that has nodes."""
    job, now = case.job, case.of_run(case.run)
    if job.state in LEAVING:
        return _leaving(case)
    where = job.nodes or "its nodes"
    since = f" since {case.at(job.start)}" if job.start else ""
    state = {"SUSPENDED": "is suspended", "STOPPED": "is stopped"}.get(job.state, "runs")
    if job.state in STARTING or (job.reason == "Prolog" and not now):
        are = verb(where, "is", "are")
        waking = [name for name, node in case.evidence.nodes.items() if _POWER.intersection(node.state)]
        if job.state in STARTING and waking:
            return _waking(case, where, folded(waking))
        sentence = f"{case.head} has been given {where}, which {are} being prepared and checked.{case.earlier()}"
        return Explanation(case.label, "running", sentence, "starting", steps=(Step("Ask again in half a minute."),))
    sentence = f"{case.head} {state} on {where}{since}; {_judged(now, where)}{case.earlier()}"
    bad = [stay for stay in now if stay.outcome in ("unfit", "unhealthy")]
    if bad:
        return Explanation(case.label, "running-unfit", _unfit(case, bad[0], f"{state} on {where}{since}"),
                    {"unfit": "not-moved"}.get(bad[0].outcome, "not-drained"), lines=_others(bad),
                    steps=(_expect_trouble(case, bad[0]), case.report_step()))  # fmt: skip
    steps = (case.report_step(),) if now else (Step("Nothing to do."),)
    return Explanation(case.label, "running", sentence, _cause(now), steps=steps)


def _waking(case: Case, where: str, nodes: str) -> Explanation:
    """Return the explanation of a job that waits for nodes which Slurm's power saving brings up."""
    which = "which" if nodes == where else f"of which {nodes}"
    sentence = (
        f"{case.head} has been given {where}, {which} {verb(nodes, 'is', 'are')} being powered up.{case.earlier()}"
    )
    text = "Wait: that may take minutes. From a node that is not up in ResumeTimeout Slurm takes it back. State:"
    step = Step(text, (f"scontrol show node {nodes}",))
    return Explanation(case.label, "running", sentence, "powering-up", steps=(step,))


def _judged(now: tuple[RunOutcome, ...], where: str) -> str:
    """Return what the prolog said of the nodes, as the end of a sentence."""
    if not now:
        return "no report of this run can be read here."
    worst = now[0]
    whose = f"its {verb(where, 'node', 'nodes')}"
    return {
        "ready": f"{whose} passed every check.",
        "degraded": f"{whose} can run it, with a warning: {worst.because}.",
        "unknown": f"not all of it could be checked: {worst.because}.",
    }.get(worst.outcome, f"{worst.nodes}: {worst.because}.")


def _cause(now: tuple[RunOutcome, ...]) -> str:
    return now[0].outcome if now else "no-report"


def _unfit(case: Case, bad: RunOutcome, runs: str) -> str:
    does = (
        f"{verb(bad.nodes, 'does', 'do')} not fit"
        if bad.outcome == "unfit"
        else f"{verb(bad.nodes, 'is', 'are')} faulty"
    )
    done = "it was not moved" if bad.outcome == "unfit" else "it was not stopped"
    return f"{case.head} {runs} although {bad.nodes} {does}: {bad.because}; {done}: {bad.spared}.{case.earlier()}"


def _others(bad: list[RunOutcome]) -> tuple[str, ...]:
    return tuple(f"{stay.nodes}, too: {stay.because} ({stay.spared})" for stay in bad[1:])


def _expect_trouble(case: Case, bad: RunOutcome) -> Step:
    if bad.outcome == "unfit":
        return Step("Expect it to fail there. Or cancel it and submit it again without that node:",
                    (f"scancel {case.address}", f"sbatch -x {bad.nodes} SCRIPT"))  # fmt: skip
    return Step("Check its output before you trust it.")


def _leaving(case: Case) -> Explanation:
    job = case.job
    # Requeued while it still leaves its nodes: the restart count tells.
    sent = [stay for stay in case.of_run(case.run - 1) if stay.outcome in ("moved", "held", "drained")]
    if sent and not case.of_run(case.run):
        sentence = f"{case.head} is leaving {sent[0].nodes}, which it was sent away from: {sent[0].because}."
        return Explanation(case.label, "leaving", sentence, "being-moved", steps=(Step("Ask again in half a minute."),))
    sentence = (
        f"{case.head} has ended and is leaving {job.nodes or 'its nodes'} (the epilog checks them).{case.earlier()}"
    )
    return Explanation(case.label, "leaving", sentence, "epilog", steps=(Step("Ask again in half a minute."),))
