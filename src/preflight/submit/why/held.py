"""A job that is held: by Preflight, by Slurm after a node failed, by its user or an admin."""

from __future__ import annotations

import re

from preflight.hostlist import HostlistError, folded, names
from preflight.slurm.marks import Mark, marks
from preflight.submit.why.candidates import ask_anew, hopeless
from preflight.submit.why.case import Case
from preflight.submit.why.holdup import asked_by_name
from preflight.submit.why.model import Explanation, Step, away
from preflight.submit.why.run_outcomes import last_run
from preflight.submit.why.waiting import set_by_us, unavailable
from preflight.submit.why.words import listed, verb

# How hooks/move.py begins its reason, and the word for programs.
_CAUSES = (
    ("it asks for ", "node-by-name"),
    ("it was moved ", "max-requeues"),
    ("no node is left", "too-few-nodes"),
)
_NODE = re.compile(r"[A-Za-z0-9_.-]+")  # what is pasted into a command: AdminComment may hold anything
_LAUNCH_FAILED = ("launch failed requeued held", "JobLaunchFailure")
_MAX_REQUEUE = ("JobHoldMaxRequeue", "launch failure limit exceeded requeued held")


def held(case: Case) -> Explanation:
    """Return the explanation of a job whose priority is 0."""
    reason = case.job.reason.replace("_", " ")
    mark = _our_hold(case)
    if mark is not None:
        return _by_us(case, mark)
    if reason in _LAUNCH_FAILED or any(stay.outcome == "drained" for stay in case.of_run(case.run - 1)):
        return _after_node_failure(case)
    if reason == "job requeued in held state" and _half_moved(case):
        return _half_done(case)
    if reason in _MAX_REQUEUE:
        text = "Slurm has requeued it as often as MaxBatchRequeue lets it, after its launch failed each time"
        steps = (_look_at_nodes(), Step("Then, since only an admin can release it:", (_release(case),), "admin"))
        return Explanation(
            case.label, "held-by-slurm", f"{case.head} is held: {text}.", "max-batch-requeue", steps=steps
        )
    return _by_people(case, reason)


def _our_hold(case: Case) -> Mark | None:
    """Return our entry about the run that ended last; earlier ones have been overtaken by a release.

    A task of an array that has never run may be held for what another one of it met: as its run 0.
    """
    run = max(case.run - 1, 0)
    ours = [mark for mark in marks(case.job.admin_comment) if (mark.kind, mark.run) == ("held", run)]
    return ours[-1] if ours else None


def _half_moved(case: Case) -> bool:
    return any(mark.kind == "moved" and mark.run == case.run - 1 for mark in marks(case.job.admin_comment))


def _by_us(case: Case, mark: Mark) -> Explanation:
    why, _, need = mark.text.partition(": ")
    if why.startswith("no node is left") and ": " in need:  # "no node is left that could fit: 0 of …: needs …"
        counts, _, need = need.partition(": ")
        why = f"{why} ({counts.replace(', ', ' left, ', 1)})"
    cause = next((word for start, word in _CAUSES if why.startswith(start)), "other")
    sentence = (
        f"{case.head} is held by Preflight: {why}; {need}." if need else f"{case.head} is held by Preflight: {why}."
    )
    return Explanation(
        case.label, "held-by-preflight", sentence, cause, lines=case.evidence.fits, steps=_steps(case, cause)
    )


def _steps(case: Case, cause: str) -> tuple[Step, ...]:
    sent = _sent_away(case)
    job = case.address
    if cause == "node-by-name":
        keep = _also_excluded(case, sent)
        drop = Step(
            "To let it run on any other node, drop --nodelist, leave out the node that does not fit, and release it:",
            (f"scontrol update JobId={case.job.name} ReqNodeList= ExcNodeList={keep}", f"scontrol release {job}"),
        )
        return drop, _ask_for_less(case, "Or ask")
    own = _without(case.job.excluded, sent)
    again = Step(
        "Or, once nodes that did not fit have been changed, let Slurm try them again:",
        (f"scontrol update JobId={case.job.name} ExcNodeList={own}", f"scontrol release {job}"),
    )
    if cause == "too-few-nodes":
        other = Step(
            "If another partition has nodes that fit (sinfo):",
            (f"scontrol update JobId={case.job.name} Partition=NAME", f"scontrol release {job}"),
        )
        return _ask_for_less(case, "Ask"), other, again
    more = Step("If you know that some node fits, name its feature, or let Slurm try the nodes that are left:",
                (f"scontrol update JobId={case.job.name} Features=NAME", f"scontrol release {job}"))  # fmt: skip
    return more, _ask_for_less(case, "Or ask")


def _ask_for_less(case: Case, ask: str) -> Step:
    """Say how the requirement is changed: one in the comment can be, one of --require is fixed at submission."""
    sources = _sources(case)
    if sources == {"comment"}:
        return Step(
            f"{ask} for what a node has: the requirement stands in the job's comment, which can be changed:",
            (f'scontrol update JobId={case.job.name} Comment="require: …"', f"scontrol release {case.address}"),
        )
    if sources and "--require" not in sources and "comment" not in sources:
        return Step("The site's policy asks for it ([[expect]]): tell the admins.", who="admin")
    return Step(
        f"{ask} for what a node has: --require is fixed at submission, so cancel it and submit it again:",
        (f"scancel {case.address}", "sbatch --require=… SCRIPT"),
    )


def _sources(case: Case) -> set[str]:
    """Return where the clauses that failed come from: "--require", "comment", "policy"."""
    run = case.run - 1
    return {
        str(finding["source"])
        for one in (case.view.tries if case.view else ())
        if one.run == run
        for report in one.reports
        for finding in report["findings"]
        if finding["status"] == "fail" and finding["check"] in ("requirement", "expectation")
    }


def _sent_away(case: Case) -> set[str]:
    """Return the nodes that Preflight moved the job off, in any run."""
    away = {mark.node for mark in marks(case.job.admin_comment) if _NODE.fullmatch(mark.node)}
    for stay in case.stays:
        if stay.outcome in ("moved", "held"):
            away |= _names(stay.nodes)
    return away


def _also_excluded(case: Case, away: set[str]) -> str:
    """Return the nodes that the job excludes and ``away``; what we cannot read of the user's own is kept as it is."""
    try:
        return folded(names(case.job.excluded) | away)
    except HostlistError:
        return ",".join(one for one in (case.job.excluded, *sorted(away)) if one)


def _without(excluded: str, away: set[str]) -> str:
    try:
        return folded(names(excluded) - away)
    except HostlistError:
        return excluded


def _names(text: str) -> set[str]:
    try:
        return names(text)
    except HostlistError:
        return set()


def _after_node_failure(case: Case) -> Explanation:
    """Return the explanation of a job that Slurm requeued and holds since a node's prolog failed."""
    bad = [stay for stay in case.of_run(case.run - 1) if stay.outcome in ("drained", "unhealthy")]
    release = Step("Nothing is wrong with your job. Let it start on another node:", (_release(case),))
    admin = Step(
        "So that Slurm does not hold such jobs, in slurm.conf: SchedulerParameters=nohold_on_prolog_fail", (), "admin"
    )
    if not bad:
        gone = asked_by_name(case)
        if gone:
            release = Step(
                f"It asks for {folded(gone)} by name (--nodelist), where no job starts now. Drop that, and release it:",
                (f"scontrol update JobId={case.job.name} ReqNodeList=", _release(case)),
            )
        sentence = (
            f"{case.head} is held by Slurm: it could not be launched on the node it was given (a prolog that failed, "
            "as on a faulty node), and was put back into the queue."
        )
        return Explanation(case.label, "held-after-node-failure", sentence, "launch-failed",
                    lines=unavailable(case), steps=(release, _look_at_nodes(), admin))  # fmt: skip
    nodes = bad[0].nodes
    sentence = (
        f"{case.head} is held by Slurm after {nodes} {verb(nodes, 'was', 'were')} found faulty, not the job: "
        f"{bad[0].because}."
    )
    asks = _names(case.job.required) & {name for stay in bad for name in _names(stay.nodes)}
    if asks:
        release = Step(
            f"It asks for {folded(asks)} by name (--nodelist). Drop that, and let it start on another node:",
            (f"scontrol update JobId={case.job.name} ReqNodeList=", _release(case)),
        )
    repair = _repair(case, nodes)
    return Explanation(
        case.label, "held-after-node-failure", sentence, "node-unhealthy", steps=(release, repair, admin)
    )


def _repair(case: Case, nodes: str) -> Step:
    now = [node for name, node in sorted(case.evidence.nodes.items()) if name in _names(nodes) and away(node)]
    told = f" ({now[0].reason})" if now and now[0].reason else ""
    state = f"{nodes} {verb(nodes, 'is', 'are')} drained{told}" if now else f"{nodes} was drained"
    return Step(f"{state}; repair it, and the health check resumes it:", (f"scontrol show node {nodes}",), "admin")


def _half_done(case: Case) -> Explanation:
    moved = [mark for mark in marks(case.job.admin_comment) if mark.kind == "moved" and mark.run == case.run - 1]
    node = moved[-1].node
    sentence = (
        f"{case.head} is being moved off {node}: {moved[-1].text}. Its hold is Preflight's, and ends with the move."
    )
    steps = (
        Step("Ask again in a minute. If it stays so, the move was interrupted; the node's health check finishes it."),
        Step("Or finish it by hand:", (
            f"scontrol update JobId={case.job.name} ExcNodeList={_also_excluded(case, {node})}", _release(case))),
    )  # fmt: skip
    return Explanation(case.label, "held-by-preflight", sentence, "being-moved", steps=steps)


def _by_people(case: Case, reason: str) -> Explanation:
    release = (_release(case),)
    earlier = case.earlier() if last_run(case.stays) else ""
    if reason == "JobHeldUser":
        sentence = f"{case.head} is held by its user (or submitted with --hold); Preflight has no part in it.{earlier}"
        return Explanation(
            case.label, "held-by-user", sentence, steps=(Step("Release it when it may start:", release),)
        )
    if reason == "JobHeldAdmin":
        sentence = f"{case.head} is held by an administrator; Preflight has no part in it.{earlier}"
        ask = Step("Ask the admins why; its user cannot release it.")
        return Explanation(case.label, "held-by-admin", sentence, steps=(ask, Step("To release it:", release, "admin")))
    if reason == "job requeued in held state":
        sentence = f"{case.head} was requeued and held by hand (scontrol requeuehold), not by Preflight.{earlier}"
        steps = (Step("Ask who did, or release it:", release),)
        return Explanation(case.label, "held-by-user", sentence, "requeuehold", steps=steps)
    if reason == "BadConstraints":
        return _bad_constraints(case)
    if reason.startswith(("burst_buffer/", "burst buffer/")):  # released, it may wait for ever
        sentence = f"{case.head} is held since its burst buffer failed ({reason}).{earlier}"
        again = (f"scancel {case.job.name}", "sbatch SCRIPT")
        step = Step("Once that is put right, cancel it, and submit it again:", again)
        return Explanation(case.label, "held-by-slurm", sentence, "other", steps=(step,))
    word = reason or "none"
    sentence = f'{case.head} is held (its priority is 0). Slurm\'s own word for the reason is "{word}".{earlier}'
    return Explanation(
        case.label, "held-by-slurm", sentence, "other", steps=(Step("Once that is put right:", release),)
    )


def _bad_constraints(case: Case) -> Explanation:
    """Return the explanation of a job that Slurm holds since no node meets its constraint: often one that was moved
    off the only nodes that do."""
    sent = [stay for stay in case.stays if stay.outcome in ("moved", "held")]
    if sent:
        off = listed(list(dict.fromkeys(stay.nodes for stay in sent)))
        why = hopeless(case) or " No other node has the rest of what it asks for."
        sentence = f"{case.head} was moved off {off}: {sent[-1].because}.{why} So Slurm holds it (BadConstraints)."
    else:
        sentence = f"{case.head} is held by Slurm: no node can satisfy its constraint, for it or what it prefers."
    if set_by_us(case) or "--require" in _sources(case):
        step = ask_anew(case)
    else:
        step = Step("Correct what it asks for, then release it:",
                    (f"scontrol update JobId={case.job.name} Features=", _release(case)))  # fmt: skip
    return Explanation(case.label, "no-node-fits", sentence, "bad-constraints", lines=case.evidence.fits, steps=(step,))


def _look_at_nodes() -> Step:
    return Step("Which nodes were drained, and why:", ("sinfo -R",))


def _release(case: Case) -> str:
    return f"scontrol release {case.address}"
