"""A node's facts as Slurm is told them: numbers and names for the node's Extra, words for its Features.

Only what is known is published. Known to be absent (no driver) is NONE in Extra and "none" in a feature. A node that
does not state a value has no key for it, and Slurm then counts every comparison with that key as false.
"""

from __future__ import annotations

from preflight.catalog import cuda as cuda_catalog
from preflight.catalog.tables import SHIPPED, Tables
from preflight.digits import is_whole
from preflight.facts.view import Unknown, View, attribute
from preflight.requirements import installed, mig, names
from preflight.requirements.evaluate import evaluate
from preflight.requirements.grammar import Clause, Predicate, Requirement
from preflight.requirements.kinds import Count, Flag, Version
from preflight.requirements.kinds_of_names import TokenName, is_profile
from preflight.requirements.row import Row
from preflight.tuples import NamedTuple

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

    Pair = tuple[int, int]

NONE = -1  # an Extra value: known to be absent
PARTS = "_parts"  # Extra key beside a version's: how many numbers the node states, 3 at most
RUNS = "cuda_runs"
FROM = "cuda_from"  # the lowest: a program of an older CUDA than its GPU does not run
FIRST_MAJOR = 9  # of the CUDA releases that are tried
MINORS = (*range(10), 998)
MIG = "mig_"  # Extra key of a MIG profile: how many devices of it
MIG_MEMORY = "_memory"  # the key of a profile with this behind it: MiB of the smallest of its devices
WORD = "gpu_name_"  # Extra key of one word that is in the name of every GPU, with the value 1

_VERSION = Version()
_SAFE = frozenset("abcdefghijklmnopqrstuvwxyz0123456789.-")

# What of a node's Features is ours: every feature that begins so.
PREFIXES = ("os_", "arch_", "driver_", "cuda_", "glibc_", "gpu_", "python_", "cudnn_", "nccl_")


_INSTALLED = {row.fact: row for row in names.ROWS if row.judge is installed.judge}


class Unclear:
    """The only value of it is UNCLEAR: a fact that could not be told, or not in a way that Slurm can compare."""


UNCLEAR = Unclear()


class Group(NamedTuple):
    """Features that say one thing: ``prefix``, and the fact ("subject.key") they state."""

    prefix: str
    fact: str


# One feature a node of each of these; os_ is made of two facts, gpu_ of the words of a name.
GROUPS = (
    Group("arch_", "arch.machine"),
    Group("driver_", "driver.version"),
    Group("cuda_", "driver.cuda"),
    Group("glibc_", "libc.glibc"),
    Group("python_", "python.versions"),
    Group("cudnn_", "libraries.cudnn"),
    Group("nccl_", "libraries.nccl"),
)


def escape(text: str) -> str:
    """Return text without a character that Slurm's Extra grammar gives a meaning: others as %XX of their UTF-8."""
    return "".join(
        char if char in _SAFE or char == "_" else "".join(f"%{byte:02x}" for byte in char.encode(errors="replace"))
        for char in text
    )


def is_ours(key: str) -> bool:
    """Tell whether a key of a node's Extra is one that Preflight publishes."""
    return key in KEYS or key.startswith(WORD) or profile_of(key) is not None


def profile_of(key: str) -> str | None:
    """Return the MIG profile whose number of devices a key of Extra states, None of another key."""
    profile = key[len(MIG) :].removesuffix(MIG_MEMORY).replace("%2b", "+") if key.startswith(MIG) else ""
    return profile if is_profile(profile) else None


def extra_of(view: View, cuda_minor: str = "warn", tables: Tables = SHIPPED) -> dict[str, int | float | str]:
    """Return what a node publishes in its Extra JSON, sorted by key.

    Versions are a*1000000 + b*1000 + c with the number of stated parts beside them, sizes whole MiB, flags 0 or 1,
    names lower case. ``cuda`` is the driver's own version, ``cuda_runs`` the highest that a program may be built with
    under the policy ``cuda_minor`` (accept, warn, reject), ``cuda_from`` the lowest. Of GPUs it is what holds for all.
    """
    found: dict[str, int | float | str] = {}
    for row in names.ROWS:
        if row.extra and row.extra not in found:
            found |= _gpus(row, view) if row.fact.startswith("gpus.") else _one(row, view)
    runs = cuda_runs(view, cuda_minor, tables)
    if runs:
        found[FROM], found[RUNS] = _number(runs[0]), _number(runs[1])
    elif cuda_own(view) is None:
        found[RUNS] = NONE
    if "os" not in found:  # a version of nobody knows what settles nothing
        found = {key: value for key, value in found.items() if not key.startswith("os_version")}
    return dict(sorted(found.items()))


def _number(parts: tuple[int, ...]) -> int:
    return _VERSION.encode(".".join(map(str, parts))) or 0


def _one(row: Row, view: View) -> dict[str, int | float | str]:
    """Return the key and value of a fact that a node has one of."""
    have = _stated(row.fact, view)
    key = row.extra or ""
    if isinstance(have, (Unknown, Unclear)):
        return {}
    if have is None:
        if row.fact.startswith("os."):
            return {}  # a rolling distribution states no version: that is not told, as evaluation sees it
        return {key: 0 if isinstance(row.kind, Flag) else NONE}
    return _value(row, key, have)


def _stated(fact: str, view: View) -> Any:
    """Return the value of a fact as it is published: of several installed versions the highest."""
    if fact == "driver.cuda":
        return cuda_own(view)
    row = _INSTALLED.get(fact)
    return view.get(fact) if row is None else installed.published(row, view)


def _value(row: Row, key: str, have: Any) -> dict[str, int | float | str]:
    if isinstance(row.kind, Version):
        parts = row.kind.read(have)
        return {key: _number(parts), key + PARTS: min(len(parts), 3)} if parts else {}
    value = row.kind.encode(have)
    if value is None:
        return {}
    if isinstance(row.kind, Count) and have != value:
        return {key: float(have)}
    return {key: escape(value) if isinstance(value, str) else value}


def _gpus(row: Row, view: View) -> dict[str, int | float | str]:
    """Return what holds for every GPU: of flags whether all have it, of sizes the least, of others the common value."""
    if row.fact == mig.PATH:
        return _mig(view) if row.name == "mig.count" else {}
    devices, key = view.devices(), row.extra or ""
    if isinstance(devices, Unknown):
        return {}
    if row.name == "gpu.count":
        return {} if any(device.get("error") for device in devices) else {key: len(devices)}
    if not devices:
        return {key: 0} if isinstance(row.kind, Flag) else {}
    values = [attribute(device, row.fact.partition(".")[2]) for device in devices]
    if isinstance(row.kind, Flag):
        truths = [None if isinstance(value, Unknown) else row.kind.truth(value) for value in values]
        return {} if None in truths else {key: int(all(truths))}
    if isinstance(row.kind, TokenName):
        return _words(row.kind, key, values)
    encoded = [{} if isinstance(value, Unknown) else _value(row, key, value) for value in values]
    if not all(encoded):
        return {}
    if isinstance(row.kind, Version):
        return encoded[0] if all(one == encoded[0] for one in encoded) else {}
    return {key: min(one[key] for one in encoded)}


def _mig(view: View) -> dict[str, int | float | str]:
    """Return how many MIG devices there are, and of each profile how many and with how much memory."""
    found = mig.published(view)
    if found is None:
        return {}
    keys: dict[str, int | float | str] = {MIG + "count": sum(number for number, _ in found.values())}
    for profile, (number, memory) in found.items():
        if is_profile(profile):
            keys[MIG + escape(profile)] = number
            keys |= {} if memory is None else {MIG + escape(profile) + MIG_MEMORY: memory}
    return keys


def _words(kind: TokenName, key: str, values: list[Any]) -> dict[str, int | float | str]:
    folded = [kind.fold(value) if isinstance(value, str) else "" for value in values]
    if not all(folded):
        return {}
    found: dict[str, int | float | str] = {WORD + escape(word): 1 for word in common_words(folded)}
    if len(set(folded)) == 1:
        found[key] = escape(folded[0].replace(" ", "_"))
    return found


def common_words(names_of_gpus: list[str]) -> list[str]:
    """Return the words that every name (folded, blank-separated) has, sorted."""
    return sorted(set.intersection(*(set(name.split()) for name in names_of_gpus)))


def cuda_own(view: View) -> Any:
    """Return the driver's own CUDA version as text, None without a driver, UNCLEAR where it is not told."""
    own, driver = view.get("driver.cuda"), view.get("driver.version")
    if driver is None:
        return None
    return UNCLEAR if isinstance(own, Unknown) or own is None else own


def cuda_runs(view: View, cuda_minor: str = "warn", tables: Tables = SHIPPED) -> tuple[Pair, Pair] | None:
    """Return the lowest and the highest CUDA (major, minor) such that all programs built between them run here.

    Evaluation is asked for each release; by minor-version compatibility the highest is (12, 999). None where none runs.
    """
    own = cuda_own(view)
    if own is None or isinstance(own, Unclear):
        return None
    newest = cuda_catalog.newest_major((10**9,), tables)
    asked = [(major, minor) for major in range(FIRST_MAJOR, newest + 2) for minor in MINORS]
    runs = [one for one in asked if _runs(one, view, cuda_minor, tables)]
    if not runs:
        return None
    # Where there are gaps (facts at odds), what is above the last of them.
    first = last = len(asked) - 1 - asked[::-1].index(runs[-1])
    held = set(runs)
    while first > 0 and asked[first - 1] in held:
        first -= 1
    major, minor = asked[last]
    return asked[first], (major, 999 if minor == MINORS[-1] else minor)


def _runs(asked: Pair, view: View, cuda_minor: str, tables: Tables) -> bool:
    """Tell whether cuda=major.minor passes; for a first minor release, whether cuda=major does as well."""
    texts = [f"{asked[0]}.{asked[1]}"] + ([str(asked[0])] if asked[1] == 0 else [])
    for text in texts:
        clause = Clause((Predicate("cuda", "=", text, False),), "")
        found = evaluate(Requirement((clause,)), view, cuda_minor=cuda_minor, tables=tables)
        if found[0].status not in ("pass", "warn"):
            return False
    return True


def features_of(view: View, cuda_minor: str = "warn", tables: Tables = SHIPPED) -> list[str]:
    """Return the node's Features that are ours, sorted: os_ubuntu_22.04, driver_550, gpu_h100 ..."""
    found = set(_system(view))
    for group in GROUPS:
        have = _stated(group.fact, view)
        if have is None:
            found.add(f"{group.prefix}none")
        elif isinstance(have, str):
            found |= {group.prefix + value for value in _texts(group.prefix, have)}
    extra = extra_of(view, cuda_minor, tables)
    for key in (FROM, RUNS):
        if key in extra:
            major, minor = divmod(int(extra[key]) // 1000, 1000)
            found.add(f"{key}_none" if extra[key] == NONE else f"{key}_{major}.{minor}")
    found |= {f"gpu_{key.removeprefix(WORD)}" for key in extra if key.startswith(WORD) and "%" not in key}
    if "gpu_count" in extra:
        found.add(f"gpu_count_{extra['gpu_count']}")
    if extra.get("mig_count"):
        found.add(f"gpu_mig_count_{extra['mig_count']}")
        profiles = mig.published(view) or {}
        found |= {f"gpu_mig_{one}_{number}" for one, (number, _) in profiles.items() if is_profile(one) and plain(one)}
    if "gpu_arch" in extra:
        devices = view.devices()
        capability = attribute(devices[0], "compute_capability") if isinstance(devices, list) else ""
        found.add(f"gpu_arch_{'.'.join(map(str, _VERSION.read(capability)))}")
    return sorted(found)


def plain(text: str) -> bool:
    """Tell whether text can stand in a feature as one part of it."""
    return bool(text) and set(text) <= _SAFE and "_" not in text


def _system(view: View) -> list[str]:
    os_id, version = view.get("os.id"), view.get("os.version")
    row = names.find("os")
    folded = row.kind.encode(os_id) if row and isinstance(os_id, str) else None
    if not isinstance(folded, str) or not plain(folded.replace("_", "-")):
        return []
    if is_whole(folded.rpartition("_")[2][:1]):  # system_of would take it for a version
        return []
    stated = ".".join(str(part) for part in _VERSION.read(version))
    # Ubuntu writes 22.04: keep it as written where that says the same.
    written = version if isinstance(version, str) and plain(version) and _VERSION.read(version) else stated
    return [f"os_{folded}_{written}" if stated else f"os_{folded}"]


def system_of(feature: str) -> tuple[str, str]:
    """Return (ID, version or "") of a feature os_ubuntu_22.04, os_arch, os_sle_hpc_15.5: an ID may hold "_"."""
    stated = feature.removeprefix("os_")
    os_id, _, version = stated.rpartition("_")
    return (os_id, version) if os_id and is_whole(version[:1]) else (stated, "")


def _texts(prefix: str, have: str) -> list[str]:
    if prefix == "arch_":
        row = names.find("arch")
        folded = row.kind.encode(have) if row else None
        return [str(folded)] if folded and plain(str(folded).replace("_", "")) else []
    parts = [str(part) for part in _VERSION.read(have)]
    if not parts:
        return []
    return [parts[0], ".".join(parts)] if prefix == "driver_" else [".".join(parts)]


def _keys() -> frozenset[str]:
    keys = {RUNS, FROM}
    for row in names.ROWS:
        if row.extra and row.extra != MIG:
            keys |= {row.extra, row.extra + PARTS} if isinstance(row.kind, Version) else {row.extra}
    return frozenset(keys)


KEYS = _keys()
