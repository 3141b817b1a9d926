"""How a view of facts answers one predicate: one function for each way a name reads a node.

Negation turns the answer around: ``!mig`` holds where not every GPU has MIG on, ``!mount=/x`` where no mount is /x.
"""

from __future__ import annotations

from preflight.catalog import cuda as cuda_catalog
from preflight.catalog import families
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
        return _untold(row.noun, have.reason)
    if have is None:
        return Answer(ask.signed(False), row.absent)
    truth = ask.signed(ask.holds(have))
    observed = f"{row.noun} {row.kind.show(have)}"
    return Answer(truth, observed, reason=_undecided(ask, observed) if truth is None else None)


def any_of(ask: Ask, view: View) -> Answer:
    """Judge a fact that a node has a list of: one of them must satisfy, or none when negated."""
    ask, row = ask.positive(), ask.row
    have = view.get(row.fact)
    if isinstance(have, Unknown):
        return _untold(row.noun, have.reason)
    values = _list(have)
    truths = [ask.holds(value) for value in values]
    truth = ask.signed(some(truths))
    found = [value for value, held in zip(values, truths, strict=True) if held]
    observed = _some_of(ask, found, values)
    return Answer(truth, observed, reason=_undecided(ask, observed) if truth is None else None)


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
        return _untold(row.noun, devices.reason)
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
        return _untold("GPUs", devices.reason)
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
    reason = missing[0] if missing else _undecided(ask, observed)
    return Answer(truth, observed, reason=reason if truth is None else None)


def distribution(ask: Ask, view: View) -> Answer:
    """Judge the version of a distribution or of its family; on another distribution it does not hold."""
    ask = ask.positive()
    os_id, version = view.get("os.id"), view.get("os.version")
    if isinstance(os_id, Unknown):
        return _untold("distribution", os_id.reason)
    if not isinstance(os_id, str) or not os_id:
        return _untold("distribution", "os-release states no ID")
    stated = () if isinstance(version, Unknown) else _VERSION.read(version)
    belongs = families.counts_as(os_id, stated[0] if stated else None, ask.row.name)
    truth = ask.signed(every((belongs, ask.holds(version) if stated else None)))
    observed = _system(view)
    if truth is not None:
        return Answer(truth, observed)
    if isinstance(version, Unknown):
        return Answer(None, observed, reason=safe(version.reason, 80))
    return Answer(None, observed, reason=_undecided(ask, observed))


def _system(view: View) -> str:
    """Return "ubuntu 22.04"; a version that is not known is left out."""
    os_id, version = view.get("os.id"), view.get("os.version")
    if isinstance(os_id, Unknown) or not os_id:
        return "distribution unknown"
    known = version is not None and not isinstance(version, Unknown)
    return safe(os_id, 32) + (f" {safe(version, 32)}" if known else "")


def cuda(ask: Ask, view: View) -> Answer:
    """Judge CUDA: ">=", "=" and "~=" ask whether a program built with that version runs here.

    The other operators compare the driver's own CUDA version.
    """
    own, driver = view.get("driver.cuda"), view.get("driver.version")
    if driver is None:
        return Answer(ask.signed(ask.op == "!="), "no NVIDIA driver")
    if own is None:
        own = Unknown("NVML states no CUDA version")
    observed = _cuda_observed(own, driver)
    if isinstance(own, Unknown) and isinstance(driver, Unknown):
        return Answer(None, observed, reason=safe(own.reason, 80))
    if ask.op in (">=", "=", "~="):
        return _runs(ask, own, driver, observed)
    # signed() and "!=" do not meet: the grammar refuses "!" before "!=".
    truth = None if isinstance(own, Unknown) else ask.signed(ask.holds(own))
    reason = safe(own.reason, 80) if isinstance(own, Unknown) else _undecided(ask, observed)
    return Answer(truth, observed, reason=reason if truth is None else None)


def _cuda_observed(own: Any, driver: Any) -> str:
    first = "driver version unknown" if isinstance(driver, Unknown) else f"driver {safe(driver, 32)}"
    return f"{first} (CUDA {'unknown' if isinstance(own, Unknown) else safe(own, 16)})"


def _runs(ask: Ask, own: Any, driver: Any, observed: str) -> Answer:
    """Tell whether programs of the asked CUDA run: natively, else by minor-version compatibility as policy has it."""
    # A driver states major.minor; toolkit updates within a minor release ask nothing more of it.
    asked = ask.asked[:2]
    stated, release = _VERSION.read(own), _VERSION.read(driver)
    native = _native(asked, own, release)
    minor = cuda_catalog.runs_by_minor_version(asked[0], stated, release)
    truth = native if ask.cuda_minor == "reject" else some((native, minor))
    caveat = None
    if truth and not native and ask.cuda_minor == "warn":
        shown = "not known" if isinstance(own, Unknown) else f"only {safe(own, 16)}"
        caveat = (
            f"by minor-version compatibility alone: the driver's own CUDA is {shown}, so just-in-time compilation "
            "of PTX and features that need a newer driver fail"
        )
    return Answer(
        ask.signed(truth),
        observed,
        _runs_statement(own, driver, truth, rejected=truth is False and minor is True),
        reason="the driver's CUDA version is not known" if truth is None else None,
        caveat=None if ask.negated else caveat,
    )


def _native(asked: tuple[int, ...], own: Any, driver: tuple[int, ...]) -> bool | None:
    """Tell whether the driver's own CUDA is the asked one or newer; its version may settle it where CUDA is unknown."""
    if not isinstance(own, Unknown):
        return _VERSION.compare(">=", asked, own)
    major = cuda_catalog.newest_major(driver)
    if major > asked[0]:
        return True
    return False if driver and cuda_catalog.minimum_driver(asked[0]) and major < asked[0] else None


def _runs_statement(own: Any, driver: Any, truth: bool | None, rejected: bool) -> str:
    """Say what the driver runs, in answer to a clause that fails: because it does not run them, or because it does."""
    first = "driver" if isinstance(driver, Unknown) else f"driver {safe(driver, 32)}"
    if truth:
        return f"the node's {first} runs such programs"
    if isinstance(own, Unknown):
        return f"the node's {first} is too old for it"
    upto = f"the node's {first} runs programs up to CUDA {safe(own, 16)}"
    return f"{upto}, and this site does not count minor-version compatibility" if rejected else upto


def _untold(noun: str, reason: str) -> Answer:
    return Answer(None, f"{noun} unknown", reason=safe(reason, 80))


def _undecided(ask: Ask, observed: str) -> str:
    return f"the node states {observed}, which does not settle {safe(ask.text)}"
