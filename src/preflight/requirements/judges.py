"""How a view of facts answers one predicate: one function for each way a name reads a node.

Negation turns the answer around: ``!mig`` holds where not every GPU has MIG on, ``!mount=/x`` where no mount is /x.
"""

from __future__ import annotations

from preflight.catalog import families
from preflight.facts.answer import NOT_LIVE
from preflight.facts.view import Unknown, View, attribute
from preflight.requirements.kinds import Flag, Version
from preflight.requirements.logic import every, some
from preflight.requirements.row import Answer, Ask
from preflight.requirements.text import safe

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

_VERSION = Version()

NO_GPU = "the job was given no GPU"


def one(ask: Ask, view: View) -> Answer:
    """Judge a fact that a node has one of; known to be absent, no positive predicate about it holds."""
    ask, row = ask.positive(), ask.row
    have = view.get(row.fact)
    if isinstance(have, Unknown):
        return untold(row.noun, have.reason)
    if have is None:
        return Answer(ask.signed(False), row.absent)
    truth = ask.signed(ask.holds(have))
    observed = f"{row.noun} {row.kind.show(have)}"
    return Answer(truth, observed, reason=undecided(ask, observed) if truth is None else None)


def any_of(ask: Ask, view: View) -> Answer:
    """Judge a fact that a node has a list of: one of them must satisfy, or none when negated."""
    ask, row = ask.positive(), ask.row
    have = view.get(row.fact)
    if isinstance(have, Unknown):
        return untold(row.noun, have.reason)
    values = _list(have)
    truths = [ask.holds(value) for value in values]
    truth = ask.signed(some(truths))
    found = [value for value, held in zip(values, truths) if held]
    observed = _some_of(ask, found, values)
    return Answer(truth, observed, reason=undecided(ask, observed) if truth is None else None)


def mounted(ask: Ask, view: View) -> Answer:
    """Judge whether a file system is mounted at a path, or at the end of a link, and answers.

    Unknown where it does not answer, where it is a user's own, and at or below an automounter's mount point.
    """
    ask, row = ask.positive(), ask.row
    paths = view.get("mounts.paths")
    if isinstance(paths, Unknown):
        return untold(row.noun, paths.reason)
    facts = view.facts.get("mounts", {})
    links = {one["path"]: one["to"] for one in facts.get("links") or []}
    real = str(links.get(ask.asked, ask.asked))
    points = [path for path in (*_list(paths), *facts.get("automounts", ())) if path not in ("", "/")]
    # Of two mount points of one length an automounter's comes last: what is mounted over it is asked for first.
    point = max((path for path in points if f"{real}/".startswith(f"{path}/")), key=len, default=None)
    if real == "/" and "/" in _list(paths):
        point = "/"
    if point in facts.get("automounts", ()):
        return untold(row.noun, f"{point} is an automounter's: what is mounted there shows when it is used")
    if point is None or (point != real and real == ask.asked):
        return any_of(ask, view)
    why = _silent(view, point)
    if why:
        return untold(row.noun, why)
    shown = f"{row.noun} {safe(ask.asked, 48)}" + (f" (a link to {safe(real, 48)})" if real != ask.asked else "")
    return Answer(ask.signed(True), shown)


def _silent(view: View, point: str) -> str | None:
    """Return why it is not known that the file system at a mount point answers, None where it does."""
    facts = view.facts.get("mounts", {})
    if point in facts.get("users", ()):
        return f"{point} is a user's own mount, which is not asked"
    if point not in facts.get("remote", ()):
        return None
    every = view.get("remote.mounts")
    if isinstance(every, Unknown):
        read = "remote" in view.unknown and NOT_LIVE not in every.reason
        return f"{point} was not asked: {every.reason}" if read else None
    error = next((one.get("error") for one in every if one["path"] == point), None)
    return f"{point} is mounted and does not answer: {error}" if error else None


def _some_of(ask: Ask, found: list[Any], values: list[Any]) -> str:
    """Say which values satisfied; else what there is instead, if it is little."""
    row = ask.row
    if not values:
        return row.absent
    if found:
        return f"{row.noun} {_listed(found)}"
    if isinstance(row.kind, Version):
        return f"{row.noun} {_listed(values)}"
    missing = f"no {row.noun} {safe(ask.value, 48)}"
    return f"{missing} (only {_listed(values)})" if len(values) <= 4 else missing


def _listed(values: list[Any]) -> str:
    shown = ", ".join(safe(value, 48) for value in values[:4])
    return f"{shown} and {len(values) - 4} more" if len(values) > 4 else shown


def _list(have: Any) -> list[Any]:
    return have if isinstance(have, list) else []


def every_gpu(ask: Ask, view: View) -> Answer:
    """Judge an attribute of each GPU considered: all must satisfy; the negation is that not all do.

    NotSupported makes a flag false, and a version, size or name unknown: every GPU has those, NVML does not say.
    """
    ask, row = ask.positive(), ask.row
    devices = view.devices()
    if isinstance(devices, Unknown):
        return untold(row.noun, devices.reason)
    if not devices:
        return _no_gpu(ask.negated, view)
    truths: list[bool | None] = []
    shown: list[str] = []
    reason = None
    for device in devices:
        have = attribute(device, row.fact.partition(".")[2])
        truth, text, why = _gpu(ask, have)
        if truth is None and reason is None:
            reason = f"GPU {safe(device.get('index', '?'), 8)}: {why}"
        truths.append(truth)
        shown.append(text)
    verdict = ask.signed(every(truths))
    observed = _grouped(row.noun, shown)
    return Answer(verdict, observed, _owner(view, observed), reason if verdict is None else None)


def _gpu(ask: Ask, have: Any) -> tuple[bool | None, str, str]:
    """Judge one GPU's attribute: its truth, the value for people, and why when it could not be told."""
    kind, noun = ask.row.kind, ask.row.noun
    if isinstance(have, Unknown):
        return None, "unknown", safe(have.reason, 80)
    if isinstance(kind, Flag):
        truth = kind.truth(have)
        return truth, {True: "on", False: "off", None: "unknown"}[truth], f"{noun} is not told"
    if have is None:
        return None, "unknown", f"NVML does not support {noun} on it"
    return ask.holds(have), kind.show(have), f"{noun} {kind.show(have)} does not settle {safe(ask.text)}"


def _grouped(noun: str, shown: list[str]) -> str:
    """Return "8 GPUs with name A", or the number of GPUs for each value."""
    parts = []
    for text in dict.fromkeys(shown):
        number = shown.count(text)
        parts.append(f"{number} GPU{'s' if number > 1 else ''} with {noun} {text}")
    return ", ".join(parts[:4]) + (" and others" if len(parts) > 4 else "")


def _owner(view: View, observed: str) -> str | None:
    """Return the sentence about the job's GPUs where the view is of a job's."""
    return None if view.gpus is None else f"the job has {observed}"


def _no_gpu(truth: bool, view: View) -> Answer:
    if view.gpus is None:
        return Answer(truth, "no GPU")
    return Answer(truth, "no GPU", NO_GPU)


def gpu_count(ask: Ask, view: View) -> Answer:
    """Judge the number of GPUs considered; it is unknown where it hangs on a GPU that does not answer."""
    ask = ask.positive()
    devices = view.devices()
    if isinstance(devices, Unknown):
        return untold("GPUs", devices.reason)
    silent = sum(1 for device in devices if device.get("error"))
    total = len(devices)
    if not total:
        return _no_gpu(ask.signed(ask.holds(0)) is True, view)
    truths = {ask.holds(total - missing) for missing in range(silent + 1)}
    observed = f"{total} GPU{'s' if total > 1 else ''}" + (f", {silent} of them not answering" if silent else "")
    if len(truths) > 1:
        return Answer(None, observed, reason=f"{silent} of {total} GPUs do not answer")
    return Answer(ask.signed(truths.pop()), observed, _owner(view, observed))


def system(ask: Ask, view: View) -> Answer:
    """Judge the os-release ID."""
    answer = one(ask, view)
    return answer._replace(observed=_system(view)) if answer.truth is not None else answer


def like(ask: Ask, view: View) -> Answer:
    """Judge the os-release ID and ID_LIKE: one of them must be the asked name."""
    ask = ask.positive()
    os_id, others = view.get("os.id"), view.get("os.like")
    # ID_LIKE holds words of its own ("suse"), so other names are understood for the ID alone.
    words = [str(word).casefold() for word in _list(others)]
    is_like = None if isinstance(others, Unknown) else ask.value.casefold() in words or ask.asked in words
    truth = ask.signed(some((None if isinstance(os_id, Unknown) else ask.holds(os_id), is_like)))
    observed = _system(view) + (f" (like {_listed(words)})" if words else "")
    missing = [safe(have.reason, 80) for have in (os_id, others) if isinstance(have, Unknown)]
    reason = missing[0] if missing else undecided(ask, observed)
    return Answer(truth, observed, reason=reason if truth is None else None)


def distribution(ask: Ask, view: View) -> Answer:
    """Judge the version of a distribution or of its family; on another distribution it does not hold."""
    ask = ask.positive()
    os_id, version = view.get("os.id"), view.get("os.version")
    if isinstance(os_id, Unknown):
        return untold("distribution", os_id.reason)
    if not isinstance(os_id, str) or not os_id:
        return untold("distribution", "os-release states no ID")
    stated = () if isinstance(version, Unknown) else _VERSION.read(version)
    belongs = families.counts_as(os_id, stated[0] if stated else None, ask.row.name)
    truth = ask.signed(every((belongs, ask.holds(version) if stated else None)))
    observed = _system(view)
    if truth is not None:
        return Answer(truth, observed)
    if isinstance(version, Unknown):
        return Answer(None, observed, reason=safe(version.reason, 80))
    return Answer(None, observed, reason=undecided(ask, observed))


def _system(view: View) -> str:
    """Return "ubuntu 22.04"; a version that is not known is left out."""
    os_id, version = view.get("os.id"), view.get("os.version")
    if isinstance(os_id, Unknown) or not os_id:
        return "distribution unknown"
    known = version is not None and not isinstance(version, Unknown)
    return safe(os_id, 32) + (f" {safe(version, 32)}" if known else "")


def untold(noun: str, reason: str) -> Answer:
    """Answer that a fact is unknown."""
    return Answer(None, f"{noun} unknown", reason=safe(reason, 80))


def undecided(ask: Ask, observed: str) -> str:
    """Say that what the node states does not settle what is asked."""
    return f"the node states {observed}, which does not settle {safe(ask.text)}"
