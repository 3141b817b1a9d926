"""How a node answers `cuda`: does a program built with that CUDA run here, and by which compatibility?"""

from __future__ import annotations

from preflight.catalog import cuda as majors
from preflight.catalog import versions
from preflight.facts.view import Unknown, View, attribute
from preflight.requirements.judges import undecided
from preflight.requirements.kinds import Version
from preflight.requirements.logic import some
from preflight.requirements.row import Answer, Ask
from preflight.requirements.text import safe

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

    from preflight.catalog.forward import Compat, Forward
    from preflight.catalog.gpus import Gpu
    from preflight.catalog.runs import Runs

_VERSION = Version()
_TRIED = 9  # the highest minor release that publishing tries (encode.MINORS), but for the one that stands for all


def judge(ask: Ask, view: View) -> Answer:
    """Judge CUDA: ">=", "=" and "~=" ask whether a program built with that version runs here.

    The other operators compare the driver's own CUDA version.
    """
    own, driver = view.get("driver.cuda"), view.get("driver.version")
    if driver is None:
        return Answer(ask.signed(ask.op == "!="), "no NVIDIA driver")
    if own is None:
        own = Unknown("NVML states no CUDA version")
    observed = _observed(own, driver)
    if isinstance(own, Unknown) and isinstance(driver, Unknown):
        return Answer(None, observed, reason=safe(own.reason, 80))
    if ask.op in (">=", "=", "~="):
        published = view.get("driver.runs")
        if isinstance(published, Unknown):
            return _runs(ask, view, own, driver, observed)
        return _published(ask, view, own, driver, observed, published)
    # signed() and "!=" do not meet: the grammar refuses "!" before "!=".
    truth = None if isinstance(own, Unknown) else ask.signed(ask.holds(own))
    reason = safe(own.reason, 80) if isinstance(own, Unknown) else undecided(ask, observed)
    return Answer(truth, observed, reason=reason if truth is None else None)


def own_version(ask: Ask, view: View) -> Answer:
    """Judge the driver's own CUDA version: no compatibility counts."""
    own, driver = view.get("driver.cuda"), view.get("driver.version")
    if driver is None:
        return Answer(ask.signed(ask.op == "!="), "no NVIDIA driver")
    if own is None or isinstance(own, Unknown):
        reason = "NVML states no CUDA version" if own is None else safe(own.reason, 80)
        return Answer(None, _observed(Unknown(reason), driver), reason=reason)
    truth, observed = ask.signed(ask.holds(own)), _observed(own, driver)
    return Answer(truth, observed, reason=undecided(ask, observed) if truth is None else None)


def _observed(own: Any, driver: Any) -> str:
    first = "driver version unknown" if isinstance(driver, Unknown) else f"driver {safe(driver, 32)}"
    return f"{first} (CUDA {'unknown' if isinstance(own, Unknown) else safe(own, 16)})"


def _runs(ask: Ask, view: View, own: Any, driver: Any, observed: str) -> Answer:
    """Tell whether programs of the asked CUDA run: on the GPUs, natively, by minor-version or forward compatibility."""
    # A driver states major.minor; toolkit updates within a minor release ask nothing more of it.
    asked = ask.asked[:2]
    gpus = _gpus(ask, view)
    unfit = _unfit(ask, asked, driver, gpus)
    if unfit is not None and unfit.answer == "no":
        return Answer(ask.signed(False), _with(observed, unfit), safe(unfit.why, 200), remedy=_use(unfit))
    stated, release = _VERSION.read(own), _VERSION.read(driver)
    native = _native(ask, asked, own, release)
    minor = majors.runs_by_minor_version(asked[0], stated, release, ask.tables)
    truth = native if ask.cuda_minor == "reject" else some((native, minor))
    kind, caveat = "natively", None
    if truth and not native:
        kind, caveat = "by minor-version compatibility", _caveat(own) if ask.cuda_minor == "warn" else None
    package: Forward | None = None
    if truth is False and gpus and not isinstance(driver, Unknown):
        package = _forward(ask, asked, view, driver, gpus)
        truth = package.works if package.present else None if package.works is None else False
        kind = f"by {package.package} in {safe(package.present.path, 80)}" if package.present else ""
    by_ptx = unfit is not None and unfit.answer == "ptx"
    if truth and unfit is not None and not (by_ptx and native):
        return Answer(None, observed, reason=safe(unfit.why, 200))
    if truth and unfit is not None:
        return _by_ptx(ask, unfit, f"{observed}, by PTX", _statement(own, driver, True, False))
    return Answer(
        ask.signed(truth),
        f"{observed}, {kind}" if truth else observed,
        _statement(own, driver, truth, rejected=truth is False and minor is True),
        reason=_reason(package) if truth is None else None,
        caveat=None if ask.negated else caveat,
        remedy=None if truth else _remedy(ask, asked),
    )


def _published(ask: Ask, view: View, own: Any, driver: Any, observed: str, published: Any) -> Answer:
    """Answer by the range of CUDA releases that a node published ([[11, 8], [12, 999]], None: it did not).

    In it such programs run; above it they do not. Below it, and of a release that publishing did not try, it is told
    only where the GPUs say it. That some CUDA does *not* run is never certain enough for a negation to hold.
    """
    asked = ask.asked[:2]
    if published is None or asked[1:] > (_TRIED,):
        why = "no such release is tried when a node publishes" if published else "which CUDA runs is not published"
        return Answer(None, observed, reason=why)
    low, high = (tuple(one) for one in published)
    number = (*asked, 0)[:2]
    release = _VERSION.read(driver)
    native = _native(ask, asked, own, release)
    unfit = _unfit(ask, asked, driver, _gpus(ask, view))
    if low <= number <= high:
        if unfit is not None and unfit.answer == "ptx":
            return _by_ptx(ask, unfit, f"{observed}, by PTX", _statement(own, driver, True, False))
        minor = not native and majors.runs_by_minor_version(asked[0], _VERSION.read(own), release, ask.tables)
        caveat = _caveat(own) if minor and not ask.negated and ask.cuda_minor == "warn" else None
        return Answer(ask.signed(True), observed, _statement(own, driver, True, False), caveat=caveat)
    if not ask.negated and unfit is not None and unfit.answer == "no":
        return Answer(False, _with(observed, unfit), safe(unfit.why, 200), remedy=_use(unfit))
    if ask.negated or number < low or native is not False:
        return Answer(None, observed, reason=f"the node publishes CUDA {low[0]}.{low[1]} to {high[0]}.{high[1]}")
    return Answer(False, observed, _statement(own, driver, False, False), remedy=_remedy(ask, asked))


def _by_ptx(ask: Ask, unfit: Runs, observed: str, statement: str) -> Answer:
    """Answer for a CUDA that is older than a GPU: its programs run where they hold PTX, which nobody knows here."""
    caveat = None if ask.negated else f"with a caveat: {safe(unfit.why, 240)}"
    return Answer(ask.signed(True), observed, statement, caveat=caveat, remedy=_use(unfit))


def _with(observed: str, unfit: Runs) -> str:
    """Return what the node has with what its GPU says of it: the driver alone would do."""
    return f"{observed}; {safe(unfit.why.partition(':')[0], 120)}"


def _use(unfit: Runs) -> str | None:
    return f"use {unfit.needs}" if unfit.needs else None


def _caveat(own: Any) -> str:
    shown = "not known" if isinstance(own, Unknown) else f"only {safe(own, 16)}"
    return (
        f"by minor-version compatibility alone: the driver's own CUDA is {shown}, so just-in-time compilation "
        "of PTX and features that need a newer driver fail"
    )


def _reason(package: Forward | None) -> str:
    return safe(package.why, 160) if package else "the driver's CUDA version is not known"


def _gpus(ask: Ask, view: View) -> list[Gpu]:
    """Return the GPUs considered, each kind once; none where there are none, or they were not read."""
    devices = view.devices()
    if isinstance(devices, Unknown) or not devices:
        return []
    from preflight.catalog.gpus import look_up

    found: dict[tuple[str, str | None], Gpu] = {}
    for device in devices:
        name, capability = attribute(device, "name"), attribute(device, "compute_capability")
        text = name if isinstance(name, str) else ""
        own = capability if isinstance(capability, str) else None
        if (text, own) not in found:
            found[text, own] = look_up(text, own, ask.tables)
    return list(found.values())


def _unfit(ask: Ask, asked: tuple[int, ...], driver: Any, gpus: list[Gpu]) -> Runs | None:
    """Return why the GPUs do not go with the asked CUDA or the driver: a no before a doubt, a doubt before by PTX.

    None where they do.
    """
    if not gpus:
        return None
    from preflight.catalog.runs import NO, PTX, UNKNOWN, not_on_gpu

    release = None if isinstance(driver, Unknown) else str(driver)
    found = [not_on_gpu(versions.show(asked), release, gpu, ask.tables) for gpu in gpus]
    answers = [one for one in found if one is not None]
    return min(answers, key=lambda one: (NO, UNKNOWN, PTX).index(one.answer), default=None)


def _forward(ask: Ask, asked: tuple[int, ...], view: View, driver: Any, gpus: list[Gpu]) -> Forward:
    """Tell whether a cuda-compat that is on the node makes it work on every GPU considered."""
    from preflight.catalog.forward import forward

    text = versions.show(asked)
    compat = _compat(view)
    answers = [forward(text, str(driver), gpu, compat, ask.tables) for gpu in gpus]
    worst = min(answers, key=lambda one: (one.works is not False, one.works is not None))
    # Where the directories could not be read, a package that would work is a doubt and no yes.
    return worst._replace(works=None) if compat is None and worst.works else worst


def _compat(view: View) -> tuple[Compat, ...] | None:
    """Return the node's cuda-compat directories, None where they could not be read."""
    from preflight.catalog.forward import Compat

    if "toolkits" in view.unknown or "toolkits.compat" in view.unknown:
        return None
    items = view.get("toolkits.compat")
    if isinstance(items, Unknown) or not isinstance(items, list):
        return ()
    return tuple(Compat(str(item["path"]), str(item["driver"])) for item in items)


def _remedy(ask: Ask, asked: tuple[int, ...]) -> str | None:
    from preflight.catalog.runs import options

    needed = options(versions.show(asked), ask.tables)
    return f"{ask.row.remedy}: {needed}" if needed else None


def _native(ask: Ask, asked: tuple[int, ...], own: Any, driver: tuple[int, ...]) -> bool | None:
    """Tell whether the driver's own CUDA is the asked one or newer; its version may settle it where CUDA is unknown."""
    if not isinstance(own, Unknown):
        return _VERSION.compare(">=", asked, own)
    major = majors.newest_major(driver, ask.tables)
    if major > asked[0]:
        return True
    return False if driver and majors.minimum_driver(asked[0], ask.tables) and major < asked[0] else None


def _statement(own: Any, driver: Any, truth: bool | None, rejected: bool) -> str:
    """Say what the driver runs, in answer to a clause that fails: because it does not run them, or because it does."""
    first = "driver" if isinstance(driver, Unknown) else f"driver {safe(driver, 32)}"
    if truth:
        return f"the node's {first} runs such programs"
    if isinstance(own, Unknown):
        return f"the node's {first} is too old for it"
    upto = f"the node's {first} runs programs up to CUDA {safe(own, 16)}"
    return f"{upto}, and this site does not count minor-version compatibility" if rejected else upto
