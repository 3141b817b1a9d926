"""The kinds of values that are text: names, names with others beside them, words of a product name, paths."""

from __future__ import annotations

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


class AliasedName(Name):
    """A name that people write in more ways than one; ``canonical`` maps each to the same."""

    def __init__(self, canonical: Any) -> None:
        self._canonical = canonical

    def fold(self, text: str) -> str:
        """Return the canonical form."""
        return str(self._canonical(text.casefold()))


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
        """Return the words of a name, folded: blanks, "-", "_" and "/" part them."""
        for separator in "-_/":
            text = text.replace(separator, " ")
        return " ".join(text.casefold().split())

    def compare(self, op: str, asked: Any, have: Any) -> bool | None:
        """Compare by ``match``. A list holds the words that are in every GPU's name, in no order, as nodes publish."""
        if not isinstance(have, list):
            return super().compare(op, asked, have)
        words = asked.split()
        if all(word in have for word in words):
            return (op == "=") if len(words) == 1 else None
        # A word with other characters may be in the names without being published.
        missing = any(word not in have and word.isascii() and _plain(word) for word in words)
        return op != "=" if missing else None

    def show(self, have: Any) -> str:
        """Return a name, or the words of several."""
        return super().show(" ".join(map(str, have)) if isinstance(have, list) else have)

    def match(self, asked: str, have: str) -> bool:
        """Tell whether the asked words stand in the name, whole and in this order."""
        return f" {asked} " in f" {have} "


class PathName(Name):
    """A path, or a name like one: case counts, a trailing slash does not.

    With ``prefix`` the asked name may leave off trailing parts: module=cuda for cuda/12.4.
    """

    def __init__(self, example: str, prefix: bool = False) -> None:
        self.value_help = example
        self.prefix = prefix

    def fold(self, text: str) -> str:
        """Return the path without trailing slashes."""
        return text.rstrip("/") or text[:1]

    def match(self, asked: str, have: str) -> bool:
        """Tell whether they are the same, or ``asked`` leads ``have`` by whole parts."""
        return asked == have or (self.prefix and have.startswith(asked + "/"))
