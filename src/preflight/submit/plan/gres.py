"""GPUs as Slurm's Gres names and counts them, beside what a node published: GPUs, MIG devices, other vendors' GPUs."""

from __future__ import annotations

from preflight.facts.view import Unknown, View
from preflight.requirements import mig
from preflight.submit.gpu_types import is_other, profile_of
from preflight.submit.options_values import counted


def gpus_of(gres: str, kind: str | None = None) -> int:
    """Return the number of GPUs in a node's Gres ("gpu:h100:8(S:0-1),gpu:a100:2"), of one type where it is named.

    Slurm tells upper from lower case in types: of gpu:H100 a job for h100 gets none.
    """
    return sum(count for name, count in _listed(gres) if not kind or name == kind)


def shares_of(gres: str, name: str, kind: str | None = None) -> int:
    """Return the number of shares of GPUs ("shard", "mps") in a node's Gres; those without a type are any type's."""
    return sum(count for of, count in _listed(gres, name) if not kind or not of or of == kind)


def others_of(gres: str, name: str, kind: str = "") -> int:
    """Return how many a node's Gres has of another generic resource, of one type where it is named."""
    return sum(count for of, count in _listed(gres, name) if not kind or of == kind)


def written(gres: str, kind: str) -> str:
    """Return a type of a node's GPUs that is ``kind`` but for upper and lower case, "" where there is none."""
    return next((name for name, _ in _listed(gres) if name != kind and name.casefold() == kind.casefold()), "")


def _listed(gres: str, wanted: str = "gpu") -> list[tuple[str, int]]:
    """Return (type, number) of each entry of one generic resource, the type "" where none is named."""
    found = []
    for one in _parts(gres):
        name, *rest = one.partition("(")[0].strip().split(":")
        number = counted(rest[-1]) if rest else None
        types = [one for one in (rest if number is None else rest[:-1]) if one != "no_consume"]
        if name == wanted:
            found.append((types[0] if types else "", 1 if number is None else number))
    return found


def _parts(gres: str) -> list[str]:
    """Split at the commas outside parentheses."""
    found, depth = [""], 0
    for char in gres:
        depth += (char == "(") - (char == ")")
        if char == "," and depth == 0:
            found.append("")
        else:
            found[-1] += char
    return found


def published(view: View, kind: str | None, gres: str) -> int | None:
    """Return how many a node published of the GPUs or MIG devices that a job of type ``kind`` asks; None: not told.

    ``gres``: the node's Gres. A node without NVIDIA GPUs whose Gres has others is not told; nor is, beside MIG devices,
    how many GPUs are whole. 22.05 rounds profiles (3g.39gb for 3g.40gb): one that the node lacks is not told while it
    has others.
    """
    devices = view._replace(gpus=None, slices=()).devices()
    number = len(devices) if isinstance(devices, list) else 0 if view.get("driver.version") is None else None
    cut = mig.listed(view._replace(gpus=None, slices=()))
    some = not isinstance(cut, Unknown) and bool(cut.profiles)
    profile = profile_of(kind)
    if profile:
        if number == 0 or isinstance(cut, Unknown) or cut.more:
            return number if number == 0 else None
        return cut.profiles.count(profile) or (None if some else 0)
    if some:
        return None
    kinds = [kind] if kind else [name for name, _ in _listed(gres)]
    # Without NVIDIA's driver, GPUs of no type may be another vendor's.
    if number == 0 and kinds and all(not one or is_other(one) for one in kinds):
        return None
    return number


def noun(number: int, kind: str | None) -> str:
    """Return "2 GPUs", "no GPU", "1 MIG device"."""
    word = "MIG device" if profile_of(kind) else "GPU"
    return f"{number or 'no'} {word}{'s' * (number > 1)}"
