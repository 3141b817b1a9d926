"""What the misfit of one task of an array says of the others: each node answers once, not once a task.

A task that was sent away for what no task could have there excludes the node from those that wait; where no node is
left they get the same answer as it, all in one command. Only tasks that ask the same: of the same array, so with the
same --require, and with the same comment. A task that somebody holds is left alone.
"""

from __future__ import annotations

from preflight.digits import is_whole
from preflight.files import tolerate
from preflight.hostlist import folded, names
from preflight.requirements import names as requirement_names
from preflight.requirements.evaluate import consumable
from preflight.requirements.grammar import Predicate, RequirementError, parse
from preflight.slurm import job as slurm_job
from preflight.slurm.commands import Slurm, SlurmError
from preflight.slurm.job import JobState, Queued
from preflight.slurm.marks import EVERY, EXCLUDED, HELD, appended, marks
from preflight.tuples import NamedTuple

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterable

    from preflight.checks.finding import Finding
    from preflight.facts.document import FactsDocument
    from preflight.hooks.move import Move
    from preflight.slurm.environment import Job

BY_NAME = "it asks for {} by name (--nodelist), and that node does not fit"
ELSEWHERE = "another task of the array found no node that could fit"
NONE_LEFT = "no node is left that could fit: {} of partition {}, {} needed"
FIELDS = ("JobID", "ArrayJobID", "ArrayTaskID", "RestartCnt", "ReqNodes", "Comment", "admin_comment")
LATER = ("JobID", "ArrayJobID", "ArrayTaskID", "State", "PriorityLong", "admin_comment")
SHOWN = 120  # characters of the cause in an entry about another task
ROOM = 32768  # characters of an AdminComment from which on excluded nodes are no longer told
LONGEST = 150  # characters of a clause
GROUPS = 4  # of tasks that are written alike, one command each; what is left over, the next misfit finds
# Of GPUs that are all alike in these any choice fails as the job's did.
ALIKE = ("name", "memory", "compute_capability", "mig", "mig_devices")
OF_ALIKE = ("gpu", "gpu.memory", "gpu.arch", "gpu.code", "gpu.count", "cuda")


class Other(NamedTuple):
    """Another task of the array, with the same comment; ``number`` is its place in the array."""

    number: int
    row: Queued
    restarts: int
    required: str
    admin_comment: str


def sends_every_task_away(findings: Iterable[Finding], document: FactsDocument, job: Job) -> bool:
    """Return whether some clause that failed would fail for every job that asks the same, on whichever GPUs."""
    failed = [one for one in findings if (one.check, one.status, one.blame) == ("requirement", "fail", "job")]
    return any(_whole_node(one.expected or "", document, job) for one in failed)


def _whole_node(text: str, document: FactsDocument, job: Job) -> bool:
    if len(text) > LONGEST:
        return False  # a long one is cut where it is shown
    try:
        clauses = parse(text).clauses
    except RequirementError:
        return False
    if any(map(consumable, clauses)):
        return False  # what is used up now may be free for the next task
    predicates = [one for clause in clauses for one in clause.predicates]
    return all(not _of_gpus(one) or not job.gpus_text or _same_on_each(one, document) for one in predicates)


def _of_gpus(one: Predicate) -> bool:
    row = requirement_names.find(one.name)
    return row is None or row.scope == "gpu" or one.name == "cuda"


def _same_on_each(one: Predicate, document: FactsDocument) -> bool:
    devices = document.facts.get("gpus", {}).get("devices") or []
    kinds = [tuple(device.get(key) for key in ALIKE) for device in devices]
    return one.name in OF_ALIKE and bool(kinds) and all(kind == kinds[0] and not kind[-1] for kind in kinds)


def others(slurm: Slurm, state: JobState, rows: list[Queued]) -> tuple[Other, ...]:
    """Return the other tasks of the array that ask the same; raises SlurmError."""
    known = {row.name: row for row in rows}
    found = []
    for _, array, task, restarts, required, comment, admin_comment in slurm_job.rows_of(slurm, state.array, FIELDS):
        name = f"{array.strip()}_{task.strip()}"
        if name != state.name and name in known and slurm_job.text(comment) == state.comment:
            texts = slurm_job.text(required), slurm_job.text(admin_comment)
            found.append(Other(int(task), known[name], slurm_job.count(restarts), *texts))
    return tuple(found)


def shared(found: Iterable[Other]) -> dict[str, str]:
    """Return the nodes from which every task of the array was sent away, by what stands on those ``found``, and why.

    Only as long as the task that says so excludes the node: who clears that wants the node to be tried again.
    """
    nodes: dict[str, str] = {}
    for one in found:
        excluded = names(one.row.excluded)
        for mark in marks(one.admin_comment):
            if mark.node not in excluded:
                continue
            if mark.kind == "excluded":
                nodes.setdefault(mark.node, mark.text)
            elif mark.kind == "moved" and mark.text.endswith(EVERY[1:]):
                nodes[mark.node] = why(one.row.name, mark.text.removesuffix(EVERY[1:]))
    return nodes


def cleared(comment: str, excluded: set[str]) -> set[str]:
    """Return the nodes that a task excluded once by our entries and that somebody has let it try again."""
    return {mark.node for mark in marks(comment)} - excluded


def why(name: str, cause: str) -> str:
    """Return the text of an entry that says that task ``name`` was sent away."""
    return f"task {name} was sent away: {cause[:SHOWN].strip()}"


def lessons(slurm: Slurm, what: Move, state: JobState, rows: list[Queued]) -> dict[str, str]:
    """Return the nodes from which other tasks say that every task is sent away, and why; raises SlurmError.

    ``rows``: all of the array. Slurm is asked only where another task excludes a node that this one does not.
    """
    own = next((names(row.excluded) for row in rows if row.name == state.name), set())
    if not what.every or all(names(row.excluded) <= own | {what.node} for row in rows):
        return {}
    again = cleared(state.admin_comment, own)
    return {node: text for node, text in shared(others(slurm, state, rows)).items() if node not in again}


def is_first(slurm: Slurm, what: Move, state: JobState) -> bool:
    """Return whether the node is the first of those that sent this run of the job away: it tells the other tasks.

    Raises SlurmError.
    """
    found = marks(slurm_job.admin_comment(slurm, state.name))
    return next((one.node for one in found if (one.kind, one.run) == ("moved", what.run)), "") == what.node


def share(slurm: Slurm, what: Move, state: JobState, rows: list[Queued], partition: str, left: set[str]) -> None:
    """Exclude the node from the tasks that have not run yet, or hold those to which no node is left.

    ``rows``: all of the array; ``left``: the nodes of ``partition`` that the task itself may still go to. Raises
    SlurmError.
    """
    none_left = len(left) < max(state.nodes, 1)
    waiting = [row for row in rows if row.waits and row.name != state.name and row.partition == partition]
    fresh = [row for row in waiting if row.fresh and what.node not in names(row.excluded)]
    if not what.every or not (waiting if none_left else len(fresh) > 1):
        return
    # Read again, since a task that has started meanwhile writes its own fields.
    everyone = others(slurm, state, slurm_job.queued(slurm, state.array))
    nodes = {**shared(everyone), what.node: why(state.name, what.cause)}
    found = [one for one in everyone if one.row.partition == partition and _written(one, none_left)]
    groups: dict[tuple[str, str, int, str], list[int]] = {}
    for one in found:
        alike = (one.row.excluded, one.admin_comment, one.restarts, one.required)
        groups.setdefault(alike, []).append(one.number)
    held: list[int] = []
    written: dict[int, str] = {}
    for alike, numbers in sorted(groups.items(), key=lambda group: -len(group[1]))[:GROUPS]:
        values, reason = _answer(what, state, alike, nodes, partition, left)
        with tolerate(SlurmError):  # one of them has started meanwhile: without our mark none is held
            if values:
                slurm_job.update(slurm, f"{state.array}_[{ranges(numbers)}]", **values)
                written.update(dict.fromkeys(numbers, _held_entry(what, alike[2], reason or ELSEWHERE)))
            held += numbers if reason else []
    if held:
        slurm_job.hold(slurm, f"{state.array}_[{ranges(held)}]")
    if written:
        _look_again(slurm, state, written)


def _look_again(slurm: Slurm, state: JobState, written: dict[int, str]) -> None:
    """Mark what is held without our mark: another node wrote AdminComment at the same time, or one of us did nothing.

    ``written``: the entry that each task gets then. Whoever writes last, or holds last, looks after it.
    """
    bare: dict[tuple[str, str], list[int]] = {}
    for _, _, task, now, priority, comment in slurm_job.rows_of(slurm, state.array, LATER):
        number = slurm_job.count(task) if is_whole(task.strip()) else -1
        if number in written and (slurm_job.text(now), slurm_job.count(priority)) == ("PENDING", 0):
            entry, kept = written[number], slurm_job.text(comment)
            if entry.partition(": ")[0].rpartition(":")[2] not in _held_runs(kept):
                bare.setdefault((kept, entry), []).append(number)
    for (kept, entry), numbers in sorted(bare.items())[:GROUPS]:
        slurm_job.update(slurm, f"{state.array}_[{ranges(numbers)}]", AdminComment=appended(kept, entry))


def _held_runs(comment: str) -> set[str]:
    return {f"run{mark.run}" for mark in marks(comment) if mark.kind == "held"}


def _held_entry(what: Move, restarts: int, reason: str) -> str:
    return f"{HELD}{what.node}:run{max(restarts - 1, 0)}: {reason}: {what.cause}"


def _written(one: Other, none_left: bool) -> bool:
    """Return whether a task is told anything: one that has run only where no node is left, the rest it finds itself."""
    return one.row.waits and (one.restarts == 0 or none_left)


def _answer(
    what: Move, state: JobState, alike: tuple[str, str, int, str], nodes: dict[str, str], partition: str, left: set[str]
) -> tuple[dict[str, str], str]:
    """Return the fields to write to tasks that are alike, {} for none, and why they are to be held, "" if they are not.

    ``alike``: excluded nodes, AdminComment, restarts, required nodes.
    """
    excluded, comment, restarts, required = alike
    again = cleared(comment, names(excluded)) - {what.node}
    nodes = {node: text for node, text in nodes.items() if node not in again}
    out = names(excluded) | set(nodes)
    by_name, needed = what.node in names(required), max(state.nodes, 1)
    reason = BY_NAME.format(what.node) if by_name else ""
    if not reason and len(left - out) < needed:
        reason = NONE_LEFT.format(len(left - out), partition, needed)
    if not reason and out == names(excluded):
        return {}, ""
    entries = [] if by_name else excluded_entries(nodes, comment, restarts)
    run = max(restarts - 1, 0)
    if reason and not any((mark.kind, mark.run) == ("held", run) for mark in marks(comment)):
        entries.append(_held_entry(what, restarts, reason))
    values = {"AdminComment": appended(comment, *entries)} if entries else {}
    if not by_name and out != names(excluded):
        values["ExcNodeList"] = folded(out)
    return values, reason


def excluded_entries(nodes: dict[str, str], comment: str, run: int) -> list[str]:
    """Return an entry for each node that an AdminComment does not name yet."""
    if len(comment) > ROOM:
        return []
    told = {mark.node for mark in marks(comment)}
    return [f"{EXCLUDED}{node}:run{run}: {nodes[node]}" for node in sorted(nodes) if node not in told]


def ranges(numbers: Iterable[int]) -> str:
    """Return numbers as Slurm writes tasks: "1-3,7"."""
    parts: list[list[int]] = []
    for one in sorted(set(numbers)):
        if parts and parts[-1][1] + 1 == one:
            parts[-1][1] = one
        else:
            parts.append([one, one])
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in parts)
