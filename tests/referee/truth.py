"""What the programs that a run started need of a node, told by their words as bash made them."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from referee.run import Started

_STATED = re.compile(r".*nvidia/cuda:(\d+\.\d+)\.\d+-")
_VALUED = ("-n", "-w", "-np")
# What only prepares or asks: a run that started nothing else has done nothing.
_PREPARING = frozenset(
    ("module", "ml", "grep", "check_gpu", "nvidia-smi", "hostname", "date", "mkdir", "touch", "cp", "rm", "tee")
)


class Needs(NamedTuple):
    """``clauses`` that a command needs; ``untold``: it needs more, which its words do not tell."""

    clauses: frozenset[str]
    untold: bool


def needs(words: Sequence[str]) -> Needs:
    """Return what one command line needs of a node."""
    name, rest = words[0], list(words[1:])
    if name == "module":
        return Needs(
            frozenset(f"module={one}" for one in rest[1:] if one) if rest[:1] == ["load"] else frozenset(), False
        )
    if name == "ml":
        return Needs(frozenset(f"module={one}" for one in rest if one), False)
    if name == "apptainer" and rest[:1] == ["exec"]:
        options = [one for one in rest[1:] if one.startswith("-")]
        image = next((one for one in rest[1:] if not one.startswith("-")), "")
        return _container("container=apptainer", image, "--nv" in options)
    if name == "srun":
        options = _options(rest)
        images = [one.partition("=")[2] for one in options if one.startswith("--container-image=")]
        image = images[-1] if images else None
        return Needs(frozenset(), False) if image is None else _container("container=enroot", image, True)
    return Needs(frozenset(), name.endswith(".sh"))


def _options(words: list[str]) -> list[str]:
    found, at = [], 0
    while at < len(words) and words[at].startswith("-"):
        found.append(words[at])
        at += 2 if words[at] in _VALUED else 1
    return found


def _container(runtime: str, image: str, gpus: bool) -> Needs:
    stated = _STATED.match(image)
    if stated:
        return Needs(frozenset({runtime, f"cuda>={stated[1]}"} if gpus else {runtime}), False)
    return Needs(frozenset({runtime}), True)


def works(started: Sequence[Started]) -> bool:
    """Whether a run started any program of the user's."""
    return any(one.words[0] not in _PREPARING for one in started)
