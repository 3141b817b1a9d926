"""The kinds of values that are text: names, names with others beside them, words of a product name, paths."""

from __future__ import annotations

from preflight.digits import is_whole
from preflight.requirements.kinds import Kind

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any


class Name(Kind):
    """Text, compared without regard to case: an os-release ID, an architecture, a container runtime."""

    name = "name"
    operators = ("=", "!=")
    value_help = "a name"

    def parse(self, value: str) -> str:
        """Return the name in the form that ``compare`` meets the node's with."""
        return self.fold(value)

    def fold(self, text: str) -> str:
        """Return text as it is compared."""
        return text.casefold()

    def match(self, asked: str, have: str) -> bool:
        """Tell whether the node's name is the asked one; both folded."""
        return asked == have

    def compare(self, op: str, asked: Any, have: Any) -> bool | None:
        """Compare by ``match``."""
        if not isinstance(have, str) or not have:
            return None
        return self.match(asked, self.fold(have)) == (op == "=")

    def encode(self, have: Any) -> str | None:
        """Return the name, lower case."""
        return self.fold(have).lower() if isinstance(have, str) and have else None


def _plain(word: str) -> bool:
    return word.replace(".", "").isalnum()


def is_profile(word: str) -> bool:
    """Tell whether a word is a MIG profile: 3g.40gb, 1c.3g.40gb, 1g.10gb+me (folded: "~me" for "-me")."""
    core = word
    for sign in "+-~":
        core, found, flags = core.partition(sign)
        if found and not flags:
            return False
    parts = core.split(".")
    units = ("c", "g", "gb")[3 - len(parts) :]
    return 2 <= len(parts) <= 3 and all(
        part.endswith(unit) and is_whole(part[: -len(unit)]) for part, unit in zip(parts, units)
    )


def with_profile(asked: str) -> tuple[str, str]:
    """Return the words of a GPU's name and the MIG profile behind them ("a100 3g.20gb"), each "" where it is not there.

    ``asked``: folded as `TokenName` does. The word mig between them, as in NVML's names, says nothing more.
    """
    words = asked.split()
    profile = words.pop().replace("~", "-") if words and is_profile(words[-1]) else ""
    if profile and words[-1:] == ["mig"]:
        words.pop()
    return " ".join(words), profile


def rounded(profile: str) -> str:
    """Return a MIG profile as 22.05's slurmd names it, 3g.39gb of 3g.40gb: the GiB of memory there are, cut off.

    It is one less for each profile of the A100, A30 and H100; by itself it may be another GPU's (1g.5gb: an A100's own,
    and the A30's 1g.6gb), so it counts only behind the GPU's name, a100_3g.39gb.
    """
    slices, dot, memory = profile.rpartition(".")
    number, unit, flags = memory.partition("gb")
    return f"{slices}{dot}{int(number) - 1}{unit}{flags}" if unit and is_whole(number) else ""


class AliasedName(Name):
    """A name that people write in more ways than one; ``canonical`` maps each to the same."""

    def __init__(self, canonical: Any) -> None:
        self._canonical = canonical

    def fold(self, text: str) -> str:
        """Return the canonical form."""
        return str(self._canonical(text.casefold()))


_MOUNTED = frozenset(("sxm", "sxm2", "sxm3", "sxm4", "sxm5", "sxm6", "pcie"))
_BRANDS = ("rtx", "gtx", "titan")


def unmounted(name: str) -> str:
    """Return a folded name without how the GPU is mounted: "a100-80gb" is the A100-SXM4-80GB as well."""
    return " ".join(word for word in name.split() if word not in _MOUNTED)


def _parted(word: str) -> str:
    """Return "rtx 4090" of "rtx4090": the driver writes a blank there."""
    brand = next((one for one in _BRANDS if word.startswith(one) and word != one), "")
    rest = word[len(brand) :]
    if not brand or not (is_whole(rest[0]) or is_whole(rest[1:2]) or rest in ("v", "x")):
        return word
    tail = next((one for one in ("ti", "super") if rest.endswith(one) and is_whole(rest[: -len(one)])), "")
    return " ".join(part for part in (brand, rest[: len(rest) - len(tail)], tail) if part)


class TokenName(Name):
    """Whole words of a product name: h100 is in "NVIDIA H100 80GB HBM3", a10 is not in "NVIDIA A100"."""

    value_help = "words of the GPU's name, such as h100"

    def parse(self, value: str) -> str:
        """Return the asked words, blank-separated; there must be one."""
        folded = self.fold(value)
        if not folded:
            raise ValueError("holds no word of a GPU's name, such as h100")
        return folded

    def fold(self, text: str) -> str:
        """Return the words of a name, folded: blanks, "-", "_" and "/" part them, but not the profile 1g.24gb-me."""
        text = text.casefold().replace("gb-me", "gb~me")
        for separator in "-_/":
            text = text.replace(separator, " ")
        return " ".join(_parted(word) for word in text.split())

    def compare(self, op: str, asked: Any, have: Any) -> bool | None:
        """Compare by ``match``. A list holds the words that are in every GPU's name, in no order, as nodes publish."""
        if not isinstance(have, list):
            return super().compare(op, asked, have)
        words = asked.split()
        rest, profile = with_profile(asked)
        if profile and "mig" in have:
            if profile not in have and not (rest and any(rounded(word) == profile for word in have)):
                return op != "="
            words = rest.split()
        if not words:
            return op == "="
        if all(word in have for word in words):
            return (op == "=") if len(words) == 1 else None
        # A word with other characters may be in the names without being published.
        missing = any(word not in have and word.isascii() and _plain(word) for word in words)
        return op != "=" if missing else None

    def show(self, have: Any) -> str:
        """Return a name, or the words of several."""
        return super().show(" ".join(map(str, have)) if isinstance(have, list) else have)

    def match(self, asked: str, have: str) -> bool:
        """Tell whether the asked words stand in the name, whole and in this order.

        Of a MIG device ("NVIDIA A100-SXM4-40GB MIG 3g.20gb") they may be its profile, words of its GPU, or those and
        the profile with what stands between left out: a100_3g.20gb, as Slurm names its types.
        """
        gpu, mig, own = have.rpartition(" mig ")
        if not mig:
            return f" {asked} " in f" {have} " or f" {asked} " in f" {unmounted(have)} "
        rest, profile = with_profile(asked)
        own = own.replace("~", "-")
        same = profile in ("", own) or bool(rest and rest != "mig" and profile == rounded(own))
        return same and (not rest or rest == "mig" or f" {rest} " in f" {gpu} ")


class PathName(Name):
    """A path: case counts, a trailing slash does not."""

    value_help = "a path such as /scratch"
    any_words = True

    def parse(self, value: str) -> str:
        """Return the path; raise ValueError where it does not begin at the root: no node could hold it."""
        if not value.startswith("/"):
            raise ValueError("is no path from the root, such as /scratch")
        return self.fold(value)

    def fold(self, text: str) -> str:
        """Return the path without trailing slashes."""
        return text.rstrip("/") or text[:1]


class OneOf(Name):
    """A name out of those that facts can tell: another would hold on no node. ``others``: as written -> known."""

    value_help = "a name"

    def __init__(self, known: tuple[str, ...], others: dict[str, str]) -> None:
        self._known = known
        self._others = others

    def fold(self, text: str) -> str:
        """Return the known name of another one, such as a program's."""
        folded = text.casefold()
        return self._others.get(folded, folded)

    def parse(self, value: str) -> str:
        """Return the name; raise ValueError where it is none of the known."""
        folded = self.fold(value)
        if folded not in self._known:
            more = ", ..." if len(self._known) > 10 else ""
            raise ValueError(f"is none that is looked for: {', '.join(self._known[:10])}{more}")
        return folded
