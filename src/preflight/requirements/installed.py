"""How a node answers `python`, `cudnn`, `nccl`: which versions are on it, by its files or as an environment module.

A module's name says its version (NCCL/2.20.5-GCCcore-13.2.0, libs/cudnn/8.9.7): a job has to load it, which the answer
says. Slurm is told the highest version alone, so only ">=" and ">" can be asked of it.
"""

from __future__ import annotations

from preflight.facts.view import Unknown, View
from preflight.requirements.judges import undecided, untold
from preflight.requirements.kinds import Version
from preflight.requirements.logic import negate, some
from preflight.requirements.row import Answer, Ask, Row
from preflight.requirements.text import safe

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

_VERSION = Version()
_ALONE = "the node publishes its highest version alone: {}"


def judge(ask: Ask, view: View) -> Answer:
    """Judge the versions of one thing: one of them must satisfy, or none when negated."""
    ask, row = ask.positive(), ask.row
    have = view.get(row.fact)
    if isinstance(have, str):
        return _highest(ask, have)
    if have is None:  # published: none is known
        return Answer(None if ask.negated else False, row.absent, reason=_ALONE.format(row.absent))
    modules = module_versions(row, view)
    own = have if isinstance(have, list) else []
    found = next((one for one in own if ask.holds(one)), None)
    if found is not None:
        return Answer(ask.signed(True), f"{row.noun} {safe(found, 32)}")
    loaded = next((name for name, version in modules if ask.holds(version)), None)
    if loaded is not None:
        caveat = None if ask.negated else f"only as module {safe(loaded, 60)}: the job has to load it"
        return Answer(ask.signed(True), f"module {safe(loaded, 60)}", caveat=caveat)
    if isinstance(have, Unknown):
        return untold(row.noun, have.reason)
    if isinstance(view.get("modules.names"), Unknown):
        return Answer(None, _shown(row, own), reason=f"the node has {_shown(row, own)}, and its modules are not told")
    behind = view.get("modules.behind")
    if isinstance(behind, str):
        return Answer(None, _shown(row, own), reason=f"the node has {_shown(row, own)}; {safe(behind, 160)}")
    truth = negate_if(ask, some([ask.holds(one) for one in own] + [ask.holds(one) for _, one in modules]))
    observed = _shown(row, [*own, *(version for _, version in modules)])
    return Answer(truth, observed, reason=undecided(ask, observed) if truth is None else None)


def negate_if(ask: Ask, truth: bool | None) -> bool | None:
    """Return a truth with the predicate's negation applied."""
    return negate(truth) if ask.negated else truth


def _highest(ask: Ask, highest: str) -> Answer:
    """Answer by the highest version, which is all that a node published."""
    truth, observed = ask.holds(highest), f"{ask.row.noun} up to {safe(highest, 32)}"
    certain = truth or (truth is False and ask.op in (">=", ">") and not ask.negated)
    if certain:
        return Answer(ask.signed(truth), observed)
    return Answer(None, observed, reason=_ALONE.format(observed))


def _shown(row: Row, versions: list[Any]) -> str:
    known = [safe(one, 32) for one in versions if isinstance(one, str)]
    return f"{row.noun} {', '.join(known[:6])}" if known else row.absent


def module_versions(row: Row, view: View) -> list[tuple[str, str]]:
    """Return (module, version) of the modules of a row's name; none where modules are not told."""
    names = view.get("modules.names")
    found = []
    for name in names if isinstance(names, list) else []:
        parts = name.split("/") if isinstance(name, str) else []
        if len(parts) > 1 and parts[-2].casefold() == row.name:
            version = _VERSION.read(parts[-1].removeprefix("v"))
            if version:
                found.append((name, ".".join(map(str, version))))
    return found


def published(row: Row, view: View) -> Any:
    """Return the highest version as text, None where there is none, Unknown where that is not told."""
    have = view.get(row.fact)
    if isinstance(have, (str, Unknown)) or have is None:
        return have
    texts = [*have, *(version for _, version in module_versions(row, view))]
    versions = {parts for parts in map(_VERSION.read, texts) if parts}
    # A version that another one begins with would be told as older than it may be.
    whole = [one for one in versions if not any(other[: len(one)] == one and other != one for other in versions)]
    return ".".join(map(str, max(whole))) if whole else None
