"""What a node published, back to a view of facts: the inverse of `encode`, as far as publishing keeps what a node is.

For every clause the decoded view answers as the node itself, or unknown, with two exceptions. ``python``, ``cudnn`` and
``nccl`` are judged by the highest version, which is all that is published. ``cuda`` with >=, = or ~=
is judged by the published range (cuda_from to cuda_runs), as Slurm does. Above it the answer is a fail, also where the
node itself could not tell; and which policy for minor-version compatibility counts is the one it was published under.
What publishing loses: versions past their third part or from a part of 999 on, sizes below a MiB (held as the bounds
of what they may be), which of several GPUs is the larger one, the order of the words that GPUs of several names share.
"""

from __future__ import annotations

from preflight.catalog import families
from preflight.digits import is_whole
from preflight.facts.view import View
from preflight.requirements import encode, mig, names
from preflight.requirements.decode_mig import MOST, cut, cut_of_features
from preflight.requirements.kinds import Flag, Size, Version
from preflight.requirements.row import Row

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

NOTHING = "the node has published nothing"
UNTOLD = "the node does not publish it"
ANY_SIZE = 1 << 62  # bytes: the bound of a size that is known from below only
_MIB = 1 << 20
_MOST_GPUS = 256  # of one node; more is no count of GPUs
_CUT = 999  # a published part of a version that means "that or more"
# Of each of these at least one is written by every `preflight publish` that could read the node's driver or GPUs, and
# hardly by anyone else: os, arch, memory or gpu_a100 may be the site's own words.
_MARKS = frozenset({encode.RUNS, encode.FROM, "gpu_count"})
_FEATURE_MARKS = (f"{encode.RUNS}_", f"{encode.FROM}_", "gpu_count_")


def is_published(extra: Mapping[str, Any]) -> bool:
    """Tell whether an Extra holds what Preflight publishes."""
    return not _MARKS.isdisjoint(extra) or any(key.endswith(encode.PARTS) and key in encode.KEYS for key in extra)


def published_by_features(features: Iterable[str]) -> bool:
    """Tell whether among a node's features are what Preflight publishes."""
    return any(one.startswith(_FEATURE_MARKS) for one in features)


def view_of(extra: Mapping[str, Any], features: Iterable[str] = ()) -> View:
    """Return the facts that a node published: by its Extra, else (nothing of ours is there) by its Features.

    What it does not publish is unknown. Values of other types than publishing writes are taken as not published.
    """
    if is_published(extra):
        facts = _from_extra(extra)
    else:
        ours = [one for one in features if one.startswith(encode.PREFIXES)]
        if not published_by_features(ours):
            return View({}, dict.fromkeys(_SUBJECTS, NOTHING))
        facts = _from_features(ours)
    unknown = {path: UNTOLD for path in _PATHS if not _has(facts, path)}
    if not all("mig_devices" in one for one in facts.get("gpus", {}).get("devices", ())):
        unknown[mig.PATH] = UNTOLD
    return View(facts, unknown)


def _has(facts: dict[str, dict[str, Any]], path: str) -> bool:
    subject, _, key = path.partition(".")
    return key in facts.get(subject, ())


def _put(facts: dict[str, dict[str, Any]], path: str, value: Any) -> None:
    subject, _, key = path.partition(".")
    facts.setdefault(subject, {})[key] = value


def _from_extra(extra: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    facts: dict[str, dict[str, Any]] = {}
    for row in _ONE_OF:
        value = _value(row, extra)
        if value is not _MISSING:
            _put(facts, row.fact, value)
    _pad(facts)
    _put_range(facts, _pair(extra.get(encode.FROM)), _pair(extra.get(encode.RUNS)))
    count = _whole(extra.get("gpu_count"))
    if count is not None and 0 <= count <= _MOST_GPUS:
        facts["gpus"] = {"count": count, "devices": _devices(count, _attributes(extra))}
        cut(facts["gpus"]["devices"], _whole(extra.get("mig_count")), _mig_devices(extra))
    return facts


def _pad(facts: dict[str, dict[str, Any]]) -> None:
    """Write versions as their makers do, with the zeros that a number has lost: Ubuntu 22.04, driver 535.129.03."""
    system, driver = facts.get("os", {}), facts.get("driver", {})
    if system.get("id") in _TWO_DIGITS and system.get("version"):
        major, *minor = system["version"].split(".")
        system["version"] = ".".join([major, *(part.zfill(2) for part in minor)])
    if driver.get("version"):
        *parts, patch = driver["version"].split(".")
        driver["version"] = ".".join([*parts, patch.zfill(2) if len(parts) > 1 else patch])


class _Missing:
    """The only value of it is _MISSING: nothing is published."""


_MISSING = _Missing()


def _value(row: Row, extra: Mapping[str, Any]) -> Any:
    """Return the fact of a row as its key states it: a value, None (known to be absent) or _MISSING."""
    key = row.extra or ""
    have = extra.get(key)
    if isinstance(have, str):
        return _text(have) if row.kind.name == "name" else _MISSING
    if not isinstance(have, (int, float)) or isinstance(have, bool) or row.kind.name == "name":
        return _MISSING
    if have == encode.NONE:
        return None
    if isinstance(row.kind, Version):
        return _version(_whole(have), _whole(extra.get(key + encode.PARTS)))
    if isinstance(row.kind, Size):
        return _bounds(have)
    return have if have >= 0 else _MISSING


def _mig_devices(extra: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the MIG devices of the profiles that are published."""
    found: list[dict[str, Any]] = []
    for key in sorted(extra):
        number, profile = _whole(extra[key]), encode.profile_of(key)
        if profile is None or number is None or key.endswith(encode.MIG_MEMORY):
            continue
        memory = _whole(extra.get(key + encode.MIG_MEMORY))
        bounds = _MISSING if memory is None else _bounds(memory)
        device = {"profile": profile} if isinstance(bounds, _Missing) else {"profile": profile, "memory": bounds}
        found += [device] * max(0, min(number, MOST + 1 - len(found)))
    return found


def _whole(have: Any) -> int | None:
    """Return a whole number, None for anything else."""
    return int(have) if isinstance(have, (int, float)) and not isinstance(have, bool) and have == have // 1 else None


def _version(number: int | None, stated: int | None) -> Any:
    """Return the version that a published number states, to its last part that publishing did not cut."""
    if number is None or number < 0 or stated not in (1, 2, 3):
        return _MISSING
    parts = [number // 1_000_000, number // 1000 % 1000, number % 1000][:stated]
    kept = next((parts[:at] for at, part in enumerate(parts) if at and part == _CUT), parts)
    return ".".join(map(str, kept))


def _bounds(mib: float) -> Any:
    """Return the least and the most bytes that whole MiB, rounded down, may stand for."""
    if mib < 0 or mib != mib // 1:
        return _MISSING
    return [int(mib) * _MIB, (int(mib) + 1) * _MIB - 1]


def _text(published: str) -> Any:
    """Return a published name: %XX are bytes of its UTF-8. One with "?" may have lost a character that has none."""
    from urllib.parse import unquote

    try:
        text = unquote(published, errors="strict")
    except UnicodeDecodeError:
        return _MISSING
    return _MISSING if not text or "?" in text else text


def _pair(published: Any) -> list[int] | None:
    """Return the major and minor of a published CUDA release."""
    number = _whole(published)
    return None if number is None or number < 0 else [number // 1_000_000, number // 1000 % 1000]


def _put_range(facts: dict[str, dict[str, Any]], low: list[int] | None, high: list[int] | None) -> None:
    """State which CUDA runs, None where that is not published; `cuda.judge` reads it."""
    _put(facts, "driver.runs", [low, high] if low and high else None)


def _attributes(extra: Mapping[str, Any]) -> dict[str, Any]:
    """Return what holds for every GPU. ``name`` is a text, or the list of words that the names share."""
    found: dict[str, Any] = {}
    for row in _OF_GPUS:
        attribute = row.fact.partition(".")[2]
        have = extra.get(row.extra or "")
        if isinstance(row.kind, Flag):
            value: Any = bool(have) if have in (0, 1) and not isinstance(have, str) else _MISSING
        elif attribute == "name":
            value = _name(extra, have)
        else:
            value = _value(row, extra)
        if value is not _MISSING and value is not None:
            found[attribute] = value
    return found


def _name(extra: Mapping[str, Any], have: Any) -> Any:
    if isinstance(have, str):
        text = _text(have)
        return text if isinstance(text, _Missing) else text.replace("_", " ")
    words = [_text(key.removeprefix(encode.WORD)) for key in extra if key.startswith(encode.WORD)]
    return sorted(word for word in words if isinstance(word, str)) or _MISSING


def _devices(count: int, shared: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the GPUs. The first has the least memory, which is published; of the others only that is known."""
    devices = [{"index": index, **shared} for index in range(count)]
    if "memory" in shared:
        for device in devices[1:]:
            device["memory"] = [shared["memory"][0], ANY_SIZE]
    return devices


def _from_features(features: list[str]) -> dict[str, dict[str, Any]]:
    """Return the facts that features state; of two for one fact the longer one (driver_550, driver_550.54.15)."""
    facts: dict[str, dict[str, Any]] = {}
    _system(facts, features)
    for group in encode.GROUPS:
        stated = [one.removeprefix(group.prefix) for one in _of_group(features, group.prefix)]
        if stated:
            value = max(stated, key=len)
            _put(facts, group.fact, None if value == "none" else value)
    _pad(facts)
    low, high = (_release(features, f"{key}_") for key in (encode.FROM, encode.RUNS))
    _put_range(facts, low, high)
    _gpus_of_features(facts, features)
    return facts


def _of_group(features: list[str], prefix: str) -> list[str]:
    others = (f"{encode.RUNS}_", f"{encode.FROM}_")
    return [one for one in features if one.startswith(prefix) and not one.startswith(others)]


def _system(facts: dict[str, dict[str, Any]], features: list[str]) -> None:
    stated = [one.removeprefix("os_") for one in features if one.startswith("os_")]
    if len(stated) == 1:
        os_id, version = encode.system_of(stated[0])
        facts["os"] = {"id": os_id, **({"version": version} if version else {})}


def _release(features: list[str], prefix: str) -> list[int] | None:
    """Return the major and minor of cuda_runs_12.4; None where it is "none", is missing or is not one."""
    stated = [one.removeprefix(prefix).split(".") for one in features if one.startswith(prefix)]
    if len(stated) != 1 or len(stated[0]) != 2 or not all(is_whole(part) for part in stated[0]):
        return None
    return [int(part[:9]) for part in stated[0]]


def _gpus_of_features(facts: dict[str, dict[str, Any]], features: list[str]) -> None:
    """State the GPUs: gpu_count_N, gpu_arch_A, and gpu_WORD for each word that all names have."""
    counts = [one.removeprefix("gpu_count_") for one in features if one.startswith("gpu_count_")]
    if len(counts) != 1 or not is_whole(counts[0]) or len(counts[0]) > 3:
        return
    if int(counts[0]) > _MOST_GPUS:
        return
    shared: dict[str, Any] = {}
    arch = [one.removeprefix("gpu_arch_") for one in features if one.startswith("gpu_arch_")]
    if len(arch) == 1:
        parts = _VERSION.read(arch[0])
        shared["compute_capability"] = _version(_VERSION.encode(arch[0]), min(len(parts), 3)) if parts else None
    words = sorted(one[4:] for one in features if one.startswith("gpu_") and "_" not in one[4:] and len(one) > 4)
    if words:
        shared["name"] = words
    shared = {key: value for key, value in shared.items() if isinstance(value, (str, list))}
    facts["gpus"] = {"count": int(counts[0]), "devices": _devices(int(counts[0]), shared)}
    cut_of_features(facts["gpus"]["devices"], features)


_VERSION = Version()
_TWO_DIGITS = frozenset(one.id for one in families.DISTRIBUTIONS if ".0" in one.release and len(one.release) == 5)
_OF_GPUS = tuple(row for row in names.ROWS if row.extra and row.subject == "gpus" and row.quantifier == "all")
# One row a fact: the distributions share os_version, ib and ib.rate the rate, whose key says more.
_ONE_OF = tuple(
    {
        row.fact: row for row in names.ROWS if row.extra and row.subject != "gpus" and not isinstance(row.kind, Flag)
    }.values()
)
_SUBJECTS = tuple(dict.fromkeys(subject for row in names.ROWS for subject in (row.subject, *row.also)))
_PATHS = tuple(dict.fromkeys("gpus.devices" if row.subject == "gpus" else row.fact for row in names.ROWS))
