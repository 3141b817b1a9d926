"""What a requirement asks that no node can hold, as far as that can be known: said while its writer still looks.

A warning, never a refusal: a GPU may be newer than the catalog, a site may have a system of its own.
"""

from __future__ import annotations

from preflight.catalog import families
from preflight.catalog.tables import SHIPPED
from preflight.digits import is_whole
from preflight.requirements import names
from preflight.requirements.grammar import Predicate, Requirement
from preflight.requirements.kinds import Count, Size, Version
from preflight.requirements.kinds_of_names import TokenName, unmounted, with_profile
from preflight.requirements.row import Row
from preflight.requirements.text import safe

# Words that drivers add to a product's name, and no product is told by.
_DRIVERS = """
nvidia tesla quadro geforce gpu graphics card hbm2 hbm2e hbm3 hbm3e nvl pcie laptop mobile edition generation server
workstation max q ti super design with mig cc ac
"""
# Words of products that the catalog has no row for: boards with a DPU, for vehicles, virtual desktops and mining, of
# single makers, and Tesla's first generations. Sources: Debian pci.ids 2023.04.11, vendor 10de; README of NVIDIA's
# open-gpu-kernel-modules (L40G, T4G, PG509).
_PRODUCTS = """
a100x a30x grid drive cmp 30hx 40hx 50hx 70hx 90hx 170hx dgxs fhhl pg500 pg503 pg506 pg509 k1 k2 k340 k520 k8 m3 m4 m6
m10 m30 p6 p10 t10 t20 t40 t4g l16 l40g k20c k20m k20s k20x k20xm k40c k40d k40m k40s k40st k40t c870 c1060 c2050 c2070
c2075 m1060 m2070 m2075 m2090 nvs gt gts
"""
_ADDED = frozenset(f"{_DRIVERS} {_PRODUCTS}".split())
# The first words of other vendors' GPUs, as sites name them.
_OTHERS = ("mi", "gfx", "instinct", "radeon", "gaudi", "pvc", "ponte", "arc")
_LOWER, _UPPER = (">=", ">", "=", "~="), ("<=", "<", "=")


def doubts(requirement: Requirement) -> list[str]:
    """Return a sentence for each clause, or pair of clauses, that no node which is known can hold; [] mostly."""
    alone = [clause.predicates[0] for clause in requirement.clauses if len(clause.predicates) == 1]
    alone = [one for one in alone if not one.negated and one.value is not None]
    found = [_gpu(one) or _system(one) for one in alone]
    for at, first in enumerate(alone):
        found += [_pair(first, second) for second in alone[at + 1 :]]
    return list(dict.fromkeys(filter(None, found)))


def _gpu(one: Predicate) -> str:
    if one.name != "gpu" or one.op != "=":
        return ""
    from preflight.catalog import gpus

    asked, _ = with_profile(TokenName().fold(one.value or ""))
    for word in unmounted(asked).split():
        if word in _ADDED or _is_virtual(word) or not word.isascii() or gpus.named(gpus.spelled(word)):
            continue
        shown = f"{safe(one.text(), 60)}: no NVIDIA GPU that is known has {safe(word, 30)} in its name"
        row = next((row for row in SHIPPED.rows("architectures") if word == row["arch"]), None)
        if row is not None:
            return f"{shown}; an architecture is asked for by compute capability: gpu.arch>={row['capability']}"
        digits = word.removeprefix("sm").removeprefix("cc")
        if digits != word or asked.startswith(("sm ", "compute ")):
            return f"{shown}; a compute capability is asked for as gpu.arch>=9.0"
        if word.startswith(_OTHERS):
            return f"{shown}; GPUs of other vendors are asked of Slurm: --gres=gpu:{safe(word, 30)}:1"
        return shown
    return ""


def _is_virtual(word: str) -> bool:
    """Tell whether a word is a virtual GPU's share and license: 20c of "GRID A100X-20C"."""
    return word[-1:] in "abcq" and is_whole(word[:-1], 3)


def _system(one: Predicate) -> str:
    if one.name not in ("os", "os.like") or one.op != "=":
        return ""
    asked = families.canonical(one.value or "")
    known = {each.id for each in families.DISTRIBUTIONS} | {each for row in families.FAMILIES for each in row.members}
    # "suse" and "rhel fedora" stand in many an ID_LIKE
    if asked in known or (one.name == "os.like" and asked in ("suse", "opensuse", "arch")):
        return ""
    return f"{safe(one.text(), 60)}: no distribution with that os-release ID is known (ubuntu, debian, rhel, rocky, …)"


def _pair(first: Predicate, second: Predicate) -> str:
    """Return why two clauses never hold together, "" where they may."""
    row, other = names.find(first.name), names.find(second.name)
    if row is None or other is None:
        return ""
    ids = [_systems(one) for one in (first, second)]
    if all(ids) and not ids[0] & ids[1]:
        both = f"{safe(first.text(), 60)}, {safe(second.text(), 60)}"
        return f"{both}: no node has both systems; either of them is {both.replace(', ', ' | ')}"
    if row is other and (_excludes(row, first, second) or _excludes(row, second, first)):
        return f"{safe(first.text(), 60)}, {safe(second.text(), 60)}: nothing is both"
    return ""


def _systems(one: Predicate) -> frozenset[str]:
    """Return the os-release IDs of which a clause asks one, none where it asks no system."""
    if one.name == "os" and one.op == "=":
        return frozenset((families.canonical(one.value or ""),))
    row = names.find(one.name)
    return frozenset(families.members(row.name)) if row is not None and row.fact == "os.version" else frozenset()


def _excludes(row: Row, low: Predicate, high: Predicate) -> bool:
    """Whether what ``low`` asks at least is more than ``high`` allows. Of `cuda` the two are different questions."""
    kind = row.kind
    if row.name == "cuda" or row.quantifier == "any" or not isinstance(kind, (Version, Count, Size)):
        return False
    if low.op not in _LOWER or high.op not in _UPPER:
        return False
    least, most = _numbers(kind.parse(low.value or "")), _numbers(kind.parse(high.value or ""))
    least = (*least, *(0,) * (len(most) - len(least))) if low.op != "=" else least
    wide = min(len(least), len(most))
    strict = high.op == "<" or (low.op == ">" and len(least) <= len(most))
    return least[:wide] >= most[:wide] if strict and wide == len(most) else least[:wide] > most[:wide]


def _numbers(value: int | tuple[int, ...]) -> tuple[int, ...]:
    return value if isinstance(value, tuple) else (value,)
