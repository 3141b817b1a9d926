"""What a clause must be for Slurm's scheduler to be asked it, in either of its languages."""

from __future__ import annotations

from preflight.requirements import encode, names
from preflight.requirements.grammar import Clause, Predicate, Requirement
from preflight.requirements.kinds_of_names import TokenName, with_profile
from preflight.requirements.row import Row
from preflight.tuples import NamedTuple

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

# What is published under these names is about GPUs as a whole, of which a MIG device has another.
_WHOLE = frozenset({"gpu.count", "gpu.memory", "mig", "nvlink"})
OF_DEVICE = "it is about the MIG devices that the job gets, which Slurm picks by their type"
_WORDS = TokenName()
_HIGHEST_PART = 998  # a part above 999 is published as 999, so that number itself cannot be asked


class NotPlaceable(Exception):
    """A clause that Slurm cannot be asked; str() says why."""


class Compiled(NamedTuple):
    """``text`` for --extra or --constraint, "" where nothing can be placed; the ``placed`` clauses.

    ``not_placeable``: (clause, why) of those that stay with the prolog. ``unmet``: the placed clauses that no node of
    the cluster fits now (Features only; with Extra Slurm knows).
    """

    text: str
    placed: tuple[Clause, ...]
    not_placeable: tuple[tuple[Clause, str], ...]
    unmet: tuple[Clause, ...] = ()


def parted(requirement: Requirement) -> tuple[Requirement, tuple[tuple[Clause, str], ...]]:
    """Return what Slurm may be asked for a job that gets MIG devices, and (clause, why) of what it may not."""
    own = [one for one in requirement.clauses if any(part.name in _WHOLE for part in one.predicates)]
    rest = Requirement(tuple(one for one in requirement.clauses if one not in own))
    return rest, tuple((one, OF_DEVICE) for one in own)


def profile_in(gres: str) -> str:
    """Return a MIG profile that a text for --gres or --gpus names ("gpu:a100_3g.20gb:1"), "" where it names none."""
    for separator in ":=,/":
        gres = gres.replace(separator, " ")
    return next(filter(None, (with_profile(_WORDS.fold(word))[1] for word in gres.split())), "")


def read(predicate: Predicate) -> tuple[Row, Any, bool]:
    """Return the row, the parsed value (None of a bare name), and whether it is negated."""
    row = names.find(predicate.name)
    if row is None:  # the grammar lets no unknown name through
        raise NotPlaceable("it has an unknown name")
    return row, None if predicate.value is None else row.kind.parse(predicate.value), predicate.negated


def must_ask_for_more(predicate: Predicate) -> None:
    """Raise NotPlaceable for a clause on gpu.count that a node with more GPUs than the job gets may fail."""
    if predicate.negated or predicate.op not in (None, ">=", ">"):
        raise NotPlaceable("it is about the GPUs that the job gets, of which a node may have more")
    if predicate.name == "mig.count" and (predicate.op, (predicate.value or "").strip("0")) == (">=", ""):
        raise NotPlaceable("every node has none or more")


def must_ask_for_newer(predicate: Predicate) -> None:
    """Raise NotPlaceable for a clause on versions of which there may be several, where the highest does not tell."""
    if predicate.negated or predicate.op not in (">=", ">"):
        raise NotPlaceable("of several versions the highest is published")


def one_word(asked: str, negated: bool) -> tuple[str, str]:
    """Return the one word of a GPU's name that is asked and the MIG profile, "" where there is none of them.

    Raises NotPlaceable for several words.
    """
    if negated:
        raise NotPlaceable("a word that a GPU's name does not have is not published")
    word, profile = with_profile(asked)
    if " " in word:
        raise NotPlaceable("a GPU's name is published word by word, and it asks for several in a row")
    return word, profile


def one_profile(predicate: Predicate, asked: tuple[str, int | None]) -> tuple[str, int]:
    """Return the MIG profile of which at least so many devices are asked; raises NotPlaceable for another question."""
    profile, number = asked
    least = 1 if number is None else number + (predicate.op == ">")
    if predicate.negated or predicate.op not in ((">=", ">") if number is not None else ("=",)):
        raise NotPlaceable("it is about the MIG devices that the job gets, of which a node may have more")
    if not least:
        raise NotPlaceable("a profile that no device has is not published")
    return profile, least


def released_cuda(asked: tuple[int, ...], negated: bool) -> int:
    """Return the number of the asked CUDA release; raises NotPlaceable for one that there is not."""
    if negated:
        raise NotPlaceable("which CUDA does not run is not published")
    if len(asked) > 1 and encode.MINORS[-2] < asked[1] < encode.MINORS[-1]:
        raise NotPlaceable("there is no such CUDA release")
    return lowest(asked[:2])


def lowest(asked: tuple[int, ...]) -> int:
    """Return the number of the lowest version that the asked parts begin."""
    if len(asked) > 3:
        raise NotPlaceable("versions are published by three parts")
    if any(part > _HIGHEST_PART for part in asked[1:]):
        raise NotPlaceable(f"parts of a version above {_HIGHEST_PART} are not told apart")
    return sum(part * scale for part, scale in zip(asked, (1_000_000, 1_000, 1)))
