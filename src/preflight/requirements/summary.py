"""The summary of a job's environment: what its GPU code was compiled for, short enough to travel with the job.

    v1:3f2a9c0d1e2f:sm_75+sm_80+compute_90/sm_80@12.4

Written at submit by who looked into the environment; read by the prolog, as root, from a variable that a user can set.
So its length, its characters and its targets are bounded, and nothing else of the environment is in it, no path and no
name. The second field is the beginning of a SHA-256: environments of the same packages and code have the same. Then up
to MOST places: targets, of which each GPU must run one; with "@" a CUDA of the driver where a GPU runs none of them.
"""

from __future__ import annotations

from preflight.digits import is_whole
from preflight.requirements.gpu_code import JOIN
from preflight.requirements.grammar import Requirement, RequirementError, parse
from preflight.tuples import NamedTuple

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterable

    from preflight.requirements.grammar import Clause

VERSION = "v1"
NONE = "none"  # of a component of a heterogeneous job that has no such code: Slurm hands on that of the one before it
MOST = 8  # places
LONGEST = 1024  # bytes of a summary
_ID = 12
_HEX = "0123456789abcdef"
_NO_SUMMARY = "no summary that preflight sbatch makes"


class Summary(NamedTuple):
    """``id``: which environment. ``requirement``: what its code asks of the job's GPUs and their driver."""

    id: str
    requirement: Requirement


def write(needs: Iterable[tuple[str, Clause]]) -> str:
    """Return the summary of needs, each (whose code asks it, the clause); "" where none of them is about GPU code."""
    import hashlib

    told = [(package, place) for package, clause in needs if (place := _place(clause))]
    if not told:
        return ""
    lines = sorted(f"{package}\0{place}\n" for package, place in told)
    name = hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()[:_ID]
    places = list(dict.fromkeys(place for _, place in told))[:MOST]
    while len(text := f"{VERSION}:{name}:{'/'.join(places)}") > LONGEST:
        places.pop()
    return text if places else ""


def read(text: str) -> Summary | None:
    """Return what a summary says, None of one that says nothing; raises ValueError where it is none."""
    if text == NONE:
        return None
    version, _, rest = text.partition(":")
    name, _, listed = rest.partition(":")
    if version != VERSION or len(text) > LONGEST or len(name) != _ID or name.strip(_HEX):
        raise ValueError(_NO_SUMMARY)
    places = listed.split("/")
    if len(places) > MOST:
        raise ValueError(_NO_SUMMARY)
    try:
        return Summary(name, parse(", ".join(map(_clause, places))))
    except RequirementError:
        raise ValueError(_NO_SUMMARY) from None


def span(targets: Iterable[str]) -> str:
    """Return "sm_75 to sm_120" of machine code, with the PTX behind it: "sm_75 to sm_90, compute_90"."""
    every = [one for one in targets if one]
    code = [one for one in every if one.startswith("sm_")]
    text = f"{code[0]} to {code[-1]}" if len(code) > 2 else ", ".join(code)
    return ", ".join(filter(None, [text, *(one for one in every if one not in code)]))


def _place(clause: Clause) -> str:
    """Return a clause about GPU code as a place of a summary, "" of any other."""
    code = cuda = ""
    for one in clause.predicates:
        if one.name == "gpu.code" and one.op == "=" and not one.negated and one.value and not code:
            code = one.value
        elif one.name == "driver.cuda" and one.op == ">=" and not one.negated and one.value and not cuda:
            cuda = one.value
        else:
            return ""
    place = f"{code}@{cuda}" if cuda else code
    try:
        return place if _clause(place) else ""
    except ValueError:
        return ""


def _clause(place: str) -> str:
    """Return a place as a clause; raises ValueError where it holds anything but targets and a CUDA."""
    from preflight.catalog import targets

    code, at, cuda = place.partition("@")
    words = code.split(JOIN) if code else []
    if not all(map(targets.parse, words)) or not (words or at):
        raise ValueError(_NO_SUMMARY)
    major, dot, minor = cuda.partition(".")
    if at and not (is_whole(major, 2) and (is_whole(minor, 2) if dot else not minor)):
        raise ValueError(_NO_SUMMARY)
    return "|".join([*([f"gpu.code={code}"] if code else []), *([f"driver.cuda>={cuda}"] if at else [])])
