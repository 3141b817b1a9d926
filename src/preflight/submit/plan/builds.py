"""Which builds of a package have code for the GPUs of nodes that its own has none for."""

from __future__ import annotations

from collections.abc import Sequence

from preflight.catalog import wheels
from preflight.catalog.tables import Tables
from preflight.facts.view import Unknown, View
from preflight.submit.plan.kinds import Kinds
from preflight.submit.plan.model import Group, Need

NONE = "no build of {} that the catalog has"


def builds(need: Need, nodes: Sequence[str], kinds: Kinds, tables: Tables) -> tuple[Group, ...]:
    """Return, for the nodes on which a need of a package's code fails, what would run there; () of other needs."""
    family = wheels.family_of(need.package, tables) if need.package and _asks_code(need) else ""
    found: dict[str, list[str]] = {}
    for name in nodes if family else ():
        text = _on(family, kinds.views[kinds.of[name]], tables)
        if text:
            found.setdefault(text, []).append(name)
    return tuple(Group(text, "", tuple(sorted(names))) for text, names in found.items())


def _asks_code(need: Need) -> bool:
    return all(one.name == "gpu.code" and not one.negated for one in need.clause.predicates)


def _on(family: str, view: View, tables: Tables) -> str:
    """Return the builds for a node's GPUs, "" where these or their driver are not known."""
    devices, driver, machine = view.devices(), view.get("driver.version"), view.get("arch.machine")
    if isinstance(devices, Unknown) or not isinstance(driver, str) or not isinstance(machine, str):
        return ""
    capabilities = {one.get("compute_capability") for one in devices}
    told = capabilities.pop() if len(capabilities) == 1 else None
    if not isinstance(told, str):
        return ""
    fitting = wheels.builds(family, told, driver, machine, tables)
    return "; ".join(one.shown for one in fitting[:3]) or NONE.format(family)
