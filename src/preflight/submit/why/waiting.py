"""A job that waits in the queue: after a move, for nodes that fit, or for one of Slurm's own reasons."""

import re

from preflight.hostlist import folded
from preflight.report.nodes import natural
from preflight.slurm.marks import marks
from preflight.slurm.models import Node
from preflight.submit.why.candidates import NO_NODE_LEFT, ask_anew, hopeless, only_away, wait_step, waits_for
from preflight.submit.why.case import Case
from preflight.submit.why.holdup import (
    asked_by_name,
    code_of,
    hold_up,
    names_that_are_away,
    put_back,
    without_nodelist,
)
from preflight.submit.why.model import Explanation, RunOutcome, Step, away
from preflight.submit.why.words import clock, listed, soon, verb

_NO_NODE = ("Constraints", "BadConstraints")
_JUST_WAITS = ("None", "", "BeginTime", "WaitingForScheduling", "SchedDefer", "Cleaning")
_AVAILABILITY = ("ReqNodeNotAvail", "Resources", "NodeDown", "Nodes required", "PartitionNodeLimit")
_SHOWN = 6
_PUBLISHED = re.compile(r"(^|[^A-Za-z0-9_])(os|arch|driver|cuda|glibc|gpu)_")  # features of `preflight publish`


def waiting(case: Case) -> Explanation:
    """Return the explanation of a pending job that is not held."""
    case = _begin_time(case)
    code = code_of(case)
    sent = _sent_away(case)
    if code in _NO_NODE:
        return _no_node(case, code)
    if sent:
        return _moved(case, sent)
    lines = unavailable(case) if code.startswith(_AVAILABILITY) or asked_by_name(case) else ()
    # A job that Slurm put back after its node failed goes on by itself: say what sent it back.
    failed = [stay for stay in case.of_run(case.run - 1) if stay.outcome == "drained"]
    if failed:
        return _after_fault(case, failed[0], code, lines)
    means, steps = hold_up(case)
    restarted = put_back(case)
    named = names_that_are_away(case) if restarted else ""
    waits = f"{case.head} waits: {means}.{restarted}{named}"
    return Explanation(case.label, "waiting", waits, code, lines=lines, steps=steps)


def _after_fault(case: Case, failed: RunOutcome, code: str, lines: tuple[str, ...]) -> Explanation:
    """Return the explanation of a job that was stopped since its node was faulty, and waits to start again."""
    nodes = failed.nodes
    waits = (
        f"{case.head} waits to start again after {nodes} {verb(nodes, 'was', 'were')} found faulty, not the job: "
        f"{failed.because}."
    )
    gone = asked_by_name(case)
    if gone:
        only = folded(gone)
        waits += f" It asks for {only} by name, so it starts nowhere else, and there only once {only} is repaired."
        return Explanation(case.label, "moved", waits, "node-unhealthy", lines=lines, steps=without_nodelist(case))
    waits += f" {_state_of_wait(case, code)}"
    return Explanation(case.label, "moved", waits, "node-unhealthy", lines=lines, steps=_wait_steps(case, code))


def _begin_time(case: Case) -> Case:
    """Return the case with its reason as Slurm will say it when the scheduler has looked: not before its time."""
    job = case.job
    if job.reason in ("None", "") and job.eligible is not None and job.eligible > case.evidence.now:
        return case._replace(evidence=case.evidence._replace(job=job._replace(reason="BeginTime")))
    return case


def _sent_away(case: Case) -> tuple[RunOutcome, ...]:
    """Return the stays of the last run that Preflight ended, by its reports or its entries."""
    last = case.of_run(case.run - 1)
    told = tuple(stay for stay in last if stay.outcome in ("moved", "held"))
    return told or tuple(
        RunOutcome(mark.run, mark.node, None, mark.kind, mark.text)
        for mark in marks(case.job.admin_comment)
        if mark.run == case.run - 1 and mark.kind in ("moved", "held")
    )


def _moved(case: Case, sent: tuple[RunOutcome, ...]) -> Explanation:
    code = code_of(case)
    off = listed([stay.nodes for stay in sent])
    because = sent[0].because
    released = " It was held for that and has been released." if sent[0].outcome == "held" else ""
    sentence = f"{case.head} was moved off {off}: {because}.{released}"
    none = hopeless(case)
    if none:
        return Explanation(case.label, "moved", sentence + none, NO_NODE_LEFT, steps=(ask_anew(case),))
    gone = only_away(case)
    if gone:
        lines = tuple(_node_line(case.evidence.nodes[name]) for name in gone[:_SHOWN] if name in case.evidence.nodes)
        return Explanation(
            case.label, "moved", sentence + waits_for(case, gone), code, lines=lines, steps=(wait_step(gone),)
        )
    sentence = f"{sentence} {_state_of_wait(case, code)}"
    left = f"It stays away from {case.job.excluded}." if case.job.excluded else ""
    return Explanation(
        case.label, "moved", sentence, code, lines=(left,) if left else (), steps=_wait_steps(case, code)
    )


def _state_of_wait(case: Case, code: str) -> str:
    """Say what a job that was sent back waits for now."""
    start = case.job.eligible
    if code in _JUST_WAITS:
        if start is not None and start > case.evidence.now:
            at, far = clock(start, case.evidence.now), soon(start, case.evidence.now)
            if far == "now":
                return f"It starts elsewhere as soon as the scheduler comes to it ({at} at the earliest)."
            return f"It starts elsewhere {far} at the earliest ({at})."
        return "It starts elsewhere as soon as the scheduler comes to it."
    return f"Now it waits: {hold_up(case)[0]}."


def _wait_steps(case: Case, code: str) -> tuple[Step, ...]:
    if code in _JUST_WAITS:
        if case.job.eligible is not None:  # the sentence has said when
            return (Step("Nothing to do: wait.", (f"squeue -j {case.label}",)),)
        return (Step("Nothing to do: wait. Slurm lets a requeued job start again after about two minutes.",
                     (f"squeue -j {case.label}",)),)  # fmt: skip
    return hold_up(case)[1]


def unavailable(case: Case) -> tuple[str, ...]:
    """Return a line for each node of the job's partition that is away, those that Preflight drained first."""
    gone = [node for node in case.evidence.nodes.values() if away(node)]
    gone.sort(key=lambda node: (not node.reason.startswith("preflight:"), natural(node.name)))
    lines = [_node_line(node) for node in gone[:_SHOWN]]
    if len(gone) > _SHOWN:
        lines.append(f"{len(gone) - _SHOWN} more nodes are drained or down: sinfo -R")
    return tuple(lines)


def _node_line(node: Node) -> str:
    if node.reason.startswith("preflight:"):
        return f"{node.name} is drained by Preflight: {node.reason.removeprefix('preflight:')}"
    flags = "+".join(node.state).lower()
    return f"{node.name} is {flags}: {node.reason}" if node.reason else f"{node.name} is {flags}"


def _no_node(case: Case, code: str) -> Explanation:
    job = case.job
    asked = [text for text in (job.features and f"--constraint={job.features}", job.extra and f"--extra={job.extra}")
             if text]  # fmt: skip
    wants = f" ({listed(asked)})" if asked else ""
    waits = "it starts by itself when a node fits" if code == "Constraints" else "it will not start as it is"
    sent = _sent_away(case)
    if sent:
        off = listed([stay.nodes for stay in sent])
        none = hopeless(case) or f" No other node has what it asks for{wants}; {waits}."
        sentence = f"{case.head} was moved off {off}: {sent[0].because}.{none}"
    else:
        sentence = f"{case.head} waits: no node has what it asks for{wants}; {waits}.{case.earlier()}"
    lines = case.evidence.fits or unavailable(case)
    return Explanation(case.label, "no-node-fits", sentence, code, lines=lines, steps=(_see_nodes(case), _change(case)))


def _see_nodes(case: Case) -> Step:
    """Say how to see what nodes have: features or Extra, whichever the job was placed by."""
    what = "Extra:0" if case.job.extra else "Features:0"
    return Step("Which nodes fit what the script asks, and what Slurm knows of them:",
                ("preflight plan SCRIPT", f'sinfo -N -O "NodeList:30,{what}"'))  # fmt: skip


def set_by_us(case: Case) -> bool:
    """Return whether the job's constraint or extra has what Preflight sets for a requirement."""
    return bool(case.job.extra or _PUBLISHED.search(case.job.features))


def _change(case: Case) -> Step:
    """Say how to ask for less. What came from --require is verified by the prolog all the same."""
    job = case.job
    if job.features and not set_by_us(case):
        return Step("To drop its constraint:", (f"scontrol update JobId={job.name} Features=",))
    return Step("To ask for something else, cancel it and submit it again (--require is fixed at submission):",
                (f"scancel {case.address}", "sbatch --require=… SCRIPT"))  # fmt: skip
