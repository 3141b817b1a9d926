"""What the verdict says in a sentence, and what to do next: for the job's user, and for the admin."""

import re
from collections.abc import Iterable
from operator import itemgetter
from typing import NamedTuple

from preflight.report.nodes import fold, natural
from preflight.report.view import Change, Detail, Try, View

_SHOWN = 8
BREAKER, SLOW = "drain breaker", "slow controller"  # what hooks/drain.py begins with
_HELD = re.compile(rf"(?:{BREAKER}|{SLOW}): (.*?)(?:; not drained: .*)?$", re.DOTALL)
_LIMIT = re.compile(
    rf"{BREAKER}: [0-9]"
)  # reports before 0.1.0 have the slow controller so too, without a number there


class Advice(NamedTuple):
    """One sentence under the verdict, and lines for each reader; no line means nothing to do."""

    sentence: str
    user: tuple[str, ...]
    admin: tuple[str, ...]


def advise(view: View) -> Advice:
    """Return the advice for a merged view."""
    return Advice(_sentence(view), _some(_user(view)), _some(_admin(view)))


def tripped(kind: str, detail: str) -> bool:
    """Return whether an action is a drain that the breaker's limit held back: many nodes, and not a slow controller."""
    return kind == "drain" and _LIMIT.match(detail) is not None


def held_back(detail: str) -> str:
    """Return what held a drain back, by the detail of its action; "" where nothing did but mode or kill switch."""
    found = _HELD.match(detail)
    return found[1] if found else ""


def _sentence(view: View) -> str:
    last = [row for one in view.tries if one.last for row in one.rows]
    names = {row.node for row in last if row.verdict == view.verdict}
    bad, one = fold(sorted(names, key=natural)), len(names) == 1
    nodes = _many(len({row.node for row in last}))
    asked = "what the job asked for" if view.asked else "what the site expects"
    text = {
        "ready": f"{nodes} passed every check" + (" and had what the job asked for." if view.asked else "."),
        "degraded": f"{nodes} can run the job; there are warnings.",
        "unknown": f"Whether {bad} {'has' if one else 'have'} {asked} could not be told.",
        "mismatch": f"{bad} {'does' if one else 'do'} not have {asked}. "
        + ("The machine itself is sound." if one else "The machines themselves are sound."),
        "unhealthy": f"{bad} {'is' if one else 'are'} faulty. The job is not the cause.",
    }[view.verdict]
    if view.jobs > 1:
        jobs = {one.job: one.verdict for one in view.tries if one.last}
        tally = ", ".join(f"{list(jobs.values()).count(verdict)} {verdict}" for verdict in dict.fromkeys(jobs.values()))
        text = f"{len(jobs)} tasks: {tally}. {text}"
    return f"{text} {_earlier(view)}".strip()


def _earlier(view: View) -> str:
    before = [one for one in view.tries if not one.last]
    if not before or view.jobs > 1:
        return ""
    runs = "It ran once before" if len(before) == 1 else f"It ran {len(before)} times before"
    told = [
        f"{nodes} {what}"
        for verdict, what in (("unhealthy", "was faulty"), ("mismatch", "did not have what it asks for"))
        if (
            nodes := fold(
                sorted({row.node for one in before for row in one.rows if row.verdict == verdict}, key=natural)
            )
        )
    ]
    return f"{runs}: {' and '.join(told)}." if told else f"{runs}."


def _user(view: View) -> Iterable[str]:
    for one in view.tries:
        if one.last and view.jobs:
            yield from _for_try(view, one)
    for detail in view.problems:
        if detail.last and detail.blame in ("job", "user") and detail.status != "unknown":
            yield _step(detail)
    for change in view.changes:
        if change.blame == "user":
            yield f"{change.where}: {_of_job(change)}."
    if view.verdict == "ready" and not view.asked and view.jobs:
        yield (
            "The job stated no requirement. To have its environment checked, add a line such as "
            '#SBATCH --require="cuda>=12.4".'
        )


def _for_try(view: View, one: Try) -> Iterable[str]:
    job = view.label if view.jobs == 1 else f"{one.job}"
    about = f"{one.name}: " if one.name and view.jobs > 1 else ""
    nodes = fold(sorted((row.node for row in one.rows if row.verdict == one.verdict), key=natural))
    actions = {report["action"]["kind"]: report["action"] for report in one.reports if report["action"]["enforced"]}
    if one.verdict == "mismatch":
        yield about + _after_mismatch(job, nodes, actions)
    elif one.verdict == "unhealthy":
        worst = [report for report in one.reports if report["verdict"] == "unhealthy"]
        if all(report["phase"] == "epilog" for report in worst):
            yield f"{about}{nodes} was found faulty when the job ended: check its output before you trust it."
        elif "drain" in actions:
            yield (
                f"{about}Slurm queues a batch job that may be requeued again by itself. If squeue shows it held: "
                f"scontrol release {job}. Otherwise submit it again."
            )
        else:
            yield f"{about}The job was left to run on {nodes}: check its output before you trust it."
    elif one.verdict == "unknown":
        yield f"{about}Not all of the job's environment could be checked on {nodes}; it may still be right."


def _after_mismatch(job: str, nodes: str, actions: dict[str, dict[str, str]]) -> str:
    if "cancel" in actions:
        return "The job was cancelled. Ask for what a node has, or for another partition, and submit it again."
    if "hold" in actions:
        reason = actions["hold"]["detail"]
        because = f" ({reason})" if reason else ""
        return (
            f"The job is held{because}. Find nodes that fit (sinfo), correct its constraint "
            f"(scontrol update jobid={job} features=…) or submit it again, then: scontrol release {job}."
        )
    if "requeue" in actions:
        return f"Nothing now: the job was queued again to run elsewhere. preflight why {job} says how it stands."
    return f"The job was not moved and runs on {nodes} as it is: expect it to fail there."


def _admin(view: View) -> Iterable[str]:
    for event in view.events:
        if event.action == "drain" and event.enforced:
            yield f"{event.where} was drained{_because(event.detail)}."
        elif event.action == "resume" and event.enforced:
            yield f"{event.where} was resumed{_because(event.detail)}."
        elif event.action == "drain" and tripped(event.action, event.detail):
            why = _because(event.detail.removeprefix(BREAKER).lstrip(": "))
            yield (
                f"{event.where} was not drained, the drain breaker held{why}. Look at the policy first: so many at "
                "once mean that a check or an expectation is wrong."
            )
        elif event.action == "drain" and held_back(event.detail):
            why = f"nobody could count the drained nodes: {held_back(event.detail)}"
            yield f"{event.where} was not drained, {why}. Its health check tries again."
        elif event.action != "none" and not event.enforced:
            yield f"{event.where}: {event.action} was only recorded, not done{_because(event.detail)}."
    later = _Later(view)
    about = [
        detail
        for detail in view.problems
        if (detail.blame in ("node", "site") or detail.status == "unknown") and not later.is_well(detail)
    ]
    yield from (_step(detail) for detail in about if detail.remedy or detail.status != "unknown")
    yield from _unknown([detail for detail in about if not detail.remedy and detail.status == "unknown"])
    for change in view.changes:
        if change.blame == "node":
            yield f"{change.where}: {_of_node(change)}."
    for row in view.software:
        if row.differs:
            each = "; ".join(f"{group.text} on {group.where}" for group in row.groups)
            yield f"{row.label} is not the same on all nodes: {each}."


def _unknown(details: Iterable[Detail]) -> Iterable[str]:
    """Return what could not be told and has no remedy: one line for all checks of the same nodes."""
    by_where: dict[str, list[Detail]] = {}
    for detail in details:
        by_where.setdefault(detail.where, []).append(detail)
    for where, some in by_where.items():
        names = list(dict.fromkeys(detail.check for detail in some))
        if len(names) == 1:
            yield from map(_step, some)
        else:
            shown = ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
            yield f"{where}: {len(names)} checks could not judge, Findings say why: {shown}."


class _Later:
    """What became of findings: whether each node that had one passed the same check later in this job's own reports."""

    def __init__(self, view: View) -> None:
        checks = {detail.check for detail in view.problems if detail.blame == "node"}
        self._had: dict[tuple[str, str, str], set[str]] = {}
        self._last: dict[tuple[str, str], dict[str, tuple[int, bool]]] = {}  # by node: its place in time, did it pass
        self._well: dict[tuple[str, str, str], bool] = {}
        reports = sorted((one for run in view.tries for one in run.reports), key=itemgetter("started"))
        of_checks: dict[int, list[tuple[str, str, str]]] = {}  # by the list of findings, which many reports share
        at = 0
        for report in reports if checks else ():
            findings = report["findings"]
            if id(findings) not in of_checks:
                of_checks[id(findings)] = [
                    (one["check"], one["subject"], one["status"]) for one in findings if one["check"] in checks
                ]
            for key in of_checks[id(findings)]:
                self._had.setdefault(key, set()).add(report["node"])
                self._last.setdefault(key[:2], {})[report["node"]] = (at, key[2] == "pass")
                at += 1

    def is_well(self, detail: Detail) -> bool:
        """Return whether all nodes of a finding that is theirs to blame are well again."""
        key = (detail.check, detail.subject, detail.status)
        if detail.blame != "node" or key not in self._had:
            return False
        if key not in self._well:
            last = [self._last.get((detail.check, subject), {}) for subject in dict.fromkeys((detail.subject, ""))]
            self._well[key] = all(max(one[node] for one in last if node in one)[1] for node in self._had[key])
        return self._well[key]


def _of_job(change: Change) -> str:
    if _is_event(change):
        return f"{change.fact} {change.after} while your job ran"
    return f"{change.fact} was {change.before} before your job and {change.after} after it"


def _of_node(change: Change) -> str:
    if _is_event(change):
        return f"{change.fact} {change.after} while the job ran"
    return f"{change.fact} changed from {change.before} to {change.after} while the job ran"


def _is_event(change: Change) -> bool:
    """Return whether it is something that happened, an Xid say, and not a fact that was otherwise before."""
    return change.fact.endswith(".xid") or change.fact == "processes"


def _step(detail: Detail) -> str:
    subject = f", {detail.subject}" if detail.subject not in ("", "node") else ""
    return f"{detail.where}{subject}: {_sentence_of(detail.remedy or detail.message)} [{detail.check}]"


def _sentence_of(text: str) -> str:
    return text if text.endswith((".", "!", "?", "…")) else f"{text}."


def _because(detail: str) -> str:
    return f": {detail.rstrip('.')}" if detail else ""


def _some(lines: Iterable[str]) -> tuple[str, ...]:
    every = list(dict.fromkeys(lines))
    more = len(every) - _SHOWN
    return (*every[:_SHOWN], f"{more} more below, under Findings.") if more > 0 else tuple(every)


def _many(count: int) -> str:
    return "The node" if count == 1 else f"All {count} nodes"
