"""The clause that a bare word surely means where it is no name: a GPU, a container runtime, a machine."""

from __future__ import annotations

from preflight.digits import is_whole
from preflight.facts.container import PROGRAMS, RUNTIMES
from preflight.requirements import names

_MACHINES = frozenset(("x86_64", "x86-64", "amd64", "aarch64", "arm64", "ppc64le", "riscv64"))
_LONGEST = 40


def clause(word: str) -> str | None:
    """Return "gpu=h100" of h100, "container=docker" of docker, "arch=arm64" of arm64; None where not certain."""
    folded = word.casefold()
    if folded in RUNTIMES or folded in PROGRAMS.values():
        return f"container={folded}"
    if folded in _MACHINES:
        return f"arch={folded}"
    return f"gpu={folded}" if _product(folded) else None


def _product(word: str) -> bool:
    """Tell whether a word names one GPU of the catalog, or several that are alike; a number is part of each's name."""
    if len(word) > _LONGEST or not any(is_whole(char) for char in word):
        return False
    from preflight.catalog import gpus  # only for a mistake: a hook rarely meets one

    parts = gpus.spelled(word)
    return gpus.named(parts) and gpus.look_up(word).capability is not None


def forgotten(words: list[str]) -> int | None:
    """Return the place of a word of a value that is a name of its own ("gpu=h100 nvlink"), None where none surely is.

    mig before another word is part of a MIG device's name: "A100-SXM4-40GB MIG 3g.20gb".
    """
    for place, word in enumerate(words[1:], 1):
        name = word.lstrip("!").casefold()
        if names.find(name) and (name != "mig" or place == len(words) - 1):
            return place
    return None
