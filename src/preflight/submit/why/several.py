"""An array's tasks and a heterogeneous job's components: those that fared alike are told of together."""

from collections.abc import Sequence

from preflight.digits import is_whole
from preflight.report.nodes import natural
from preflight.slurm.members import Member
from preflight.submit.why.explain import explain
from preflight.submit.why.gather import Known, Reader
from preflight.submit.why.model import Explanation, JobRef
from preflight.submit.why.words import listed

LOOKED_INTO = 200  # tasks whose own reports and fields are read; further ones are told of by their row of the queue
_STARTED = 64


def tell(reader: Reader, asked: JobRef) -> Explanation:
    """Return the explanation of what was asked for; raises ValueError where nothing is known of it."""
    known = reader.known(asked)
    if len(known.members) == 1 and not known.past:
        return explain(reader.of_member(known.members[0])._replace(label=str(asked)))
    if known.members:
        return _of_members(reader, asked, known)
    if known.past:
        told = [explain(reader.of_past(_label(asked, known, at), one)) for at, one in
                enumerate(known.past[:LOOKED_INTO])]  # fmt: skip
        made = _together(asked, told, len(known.past))
        return made._replace(notes=(*known.notes, *made.notes))
    found = [explain(one) for one in reader.of_reports(asked, known) if one.reports]
    if not found:
        raise ValueError(_nowhere(asked, known))
    return _together(asked, found, len(found))


def _label(asked: JobRef, known: Known, at: int) -> str:
    job = known.past[at].job
    return str(asked) if len(known.past) == 1 else f"{job.het_job_id}+{job.het_offset}" if job.het_job_id else job.name


def _of_members(reader: Reader, asked: JobRef, known: Known) -> Explanation:
    """Look into the tasks: all rows that are alike by the queue share one look where they have never started.

    Tasks of an array that the queue has forgotten are accounting's.
    """
    rows = known.members
    told: list[tuple[Explanation, list[str]]] = []
    alike: dict[tuple[int, str, str, bool], list[Member]] = {}
    for row in rows:
        alike.setdefault((row.id, row.state, row.reason, row.priority == 0), []).append(row)
    for own in list(alike.values())[:LOOKED_INTO]:
        told.append((explain(reader.of_member(own[0])), [row.name for row in own]))
    for one in known.past[: LOOKED_INTO - len(told)]:
        told.append((explain(reader.of_past(one.job.name, one)), [one.job.name]))
    return _grouped(asked, told, len(rows) + len(known.past), _kind_of(rows))


def _together(asked: JobRef, found: list[Explanation], count: int) -> Explanation:
    if len(found) == 1 and count == 1:
        return found[0]
    return _grouped(
        asked, [(one, [one.label]) for one in found], count, "heterogeneous" if "+" in found[0].label else "array"
    )


def _kind_of(rows: Sequence[Member]) -> str:
    return "heterogeneous" if any(row.offset is not None for row in rows) else "array"


def _grouped(asked: JobRef, told: list[tuple[Explanation, list[str]]], count: int, what: str) -> Explanation:
    """Return one explanation with a part for each group of tasks that came to the same."""
    groups: dict[tuple[object, ...], tuple[Explanation, list[str]]] = {}
    for one, labels in told:
        key = (
            (one.kind, one.cause, one.label)
            if what == "heterogeneous"
            else (one.kind, one.cause, one.reason, one.exit_code, _where(one))
        )
        groups.setdefault(key, (one, []))[1].extend(labels)
    parts = [_of_group(one, labels) for one, labels in sorted(groups.values(), key=lambda group: natural(group[1][0]))]
    tally: dict[str, int] = {}
    for one, labels in groups.values():
        tally[one.kind] = tally.get(one.kind, 0) + len(labels)
    counted = listed([f"{number} {kind.replace('-', ' ')}" for kind, number in tally.items()], 12)
    noun = "components" if what == "heterogeneous" else "tasks"
    name = f"Heterogeneous job {asked}" if what == "heterogeneous" else f"Array {asked}"
    looked = sum(len(labels) for _, labels in told)
    more = f" {count - looked} more tasks were not looked into." if count > looked else ""
    sentence = f"{name}, {count} {noun}: {counted}.{more}"
    notes = tuple(dict.fromkeys(note for part in parts for note in part.notes))
    source = parts[0].source if parts else ""
    return Explanation(str(asked), "several", sentence, what, notes=notes, source=source, parts=tuple(parts))


def _where(one: Explanation) -> tuple[tuple[int, str, str], ...]:
    """Return what sent a task away or is amiss: tasks of one group share it."""
    return tuple((stay.run, stay.outcome, stay.because) for stay in one.stays if stay.outcome != "ready")


def _of_group(one: Explanation, labels: list[str]) -> Explanation:
    if len(labels) == 1:
        return one
    label = folded_tasks(labels)
    whole = tuple(step._replace(commands=tuple(_for_all(command, one.label, label) for command in step.commands))
                  for step in one.steps)  # fmt: skip
    return one._replace(
        label=label, sentence=f"{len(labels)} tasks alike, for example {_lower(one.sentence)}", steps=whole
    )


def _for_all(command: str, one: str, label: str) -> str:
    """Return a command for the whole group where it takes a list of tasks and says nothing of one task's own."""
    words = command.split(" ")
    return (
        f"{words[0]} {words[1]} {label}"
        if words == ["scontrol", "release", one]
        else (f"scancel {label}" if words == ["scancel", one] else command)
    )


def _lower(sentence: str) -> str:
    return f"job {sentence.removeprefix('Job ')}"


def folded_tasks(labels: Sequence[str]) -> str:
    """Return names of tasks in Slurm's short form: "12_[0-3,7]"; others are listed."""
    pairs = [label.partition("_") for label in labels]
    if len(labels) < 2 or any(not mark or not is_whole(task) for _, mark, task in pairs):
        return listed(list(labels), 12)
    numbers = sorted({int(task) for _, _, task in pairs})
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    texts = [f"{first}-{last}" if last > first else str(first) for first, last in ranges]
    shown = ",".join(texts[:_STARTED]) + (",…" if len(texts) > _STARTED else "")
    return f"{pairs[0][0]}_[{shown}]"


def _nowhere(asked: JobRef, known: Known) -> str:
    """Return that nothing is known, in one short line."""
    if known.unreached:
        return f"job {asked}: Slurm could not be asked ({known.unreached}), and no report of it where you may read"
    off = "disabled" in " ".join(known.notes)
    account = f" (accounting {'is off' if off else 'was not reached'})" if known.notes else ""
    queue = "Slurm's queue" if known.notes else "Slurm's queue or accounting"
    return f"job {asked}: not in {queue}, and no report of it where you may read{account}. Is the number right?"
