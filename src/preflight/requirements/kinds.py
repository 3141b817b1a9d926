"""The kinds of values a requirement name has: each owns parsing, comparing and encoding.

``asked`` is what the requirement writes, parsed; ``have`` is what the node has, a plain JSON value as in a facts
document. ``compare`` answers True, False or None: None where ``have`` does not say.
"""

from __future__ import annotations

from preflight.digits import is_whole
from preflight.requirements.text import safe

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

_SMALL = 9  # digits of a version's part: more is no version, and Python's int() of hostile text stays cheap
_LARGE = 15  # digits of a count or a size


class Kind:
    """What all kinds share. ``operators`` in canonical form; ``bare`` tells whether a name alone is a predicate."""

    name = ""
    any_words = False  # whether a value may hold blanks and any word behind them
    operators: tuple[str, ...] = ()
    bare = False
    value_help = ""

    def parse(self, value: str) -> Any:
        """Return the asked value, parsed; raise ValueError with a sentence that says what is expected."""
        raise ValueError("takes no value")

    def operator_error(self, op: str) -> str:
        """Return why ``op`` is refused, for an ``op`` that is not among ``operators``."""
        return f"a {self.name} is compared with {' '.join(self.operators)}"

    def check(self, op: str, asked: Any) -> None:
        """Raise ValueError where the operator does not go with this very value."""

    def compare(self, op: str, asked: Any, have: Any) -> bool | None:
        """Tell whether ``have op asked`` holds; None where it cannot be told."""
        raise NotImplementedError(self.name)

    def truth(self, have: Any) -> bool | None:
        """Tell whether the bare name holds."""
        return None

    def show(self, have: Any) -> str:
        """Return what the node has, for people."""
        return safe(have, 48)

    def encode(self, have: Any) -> int | str | None:
        """Return the value as published to Slurm, or None where there is nothing to publish."""
        raise NotImplementedError(self.name)


def compare_order(op: str, order: int) -> bool:
    """Tell whether an order (-1, 0, 1: less, equal, greater) satisfies an operator other than "~="."""
    return {
        "=": order == 0,
        "!=": order != 0,
        ">=": order >= 0,
        ">": order > 0,
        "<=": order <= 0,
        "<": order < 0,
    }[op]


def _order(left: Any, right: Any) -> int:
    return int(left > right) - int(left < right)


class Version(Kind):
    """Numbers compared part by part, over as many parts as the requirement writes.

    ``separators`` part the numbers: "." for most, ".-" for kernel releases (5.14.0-427). ``most``: a first number above
    it is a slip (124 for 12.4), 0 where any may be one; ``example``: how such a version is written.
    """

    name = "version"
    operators: tuple[str, ...] = ("=", "!=", ">=", ">", "<=", "<", "~=")
    value_help = "a version such as 12.4"

    def __init__(self, separators: str = ".", most: int = 0, example: str = "12.4") -> None:
        self.separators, self.most, self.example = separators, most, example

    def _split(self, text: str) -> list[str]:
        for separator in self.separators[1:]:
            text = text.replace(separator, self.separators[0])
        return text.split(self.separators[0])

    def parse(self, value: str) -> tuple[int, ...]:
        """Return the parts of an asked version; every part is a number."""
        parts = self._split(value)
        if not all(is_whole(part, _SMALL) for part in parts):
            raise ValueError(f"is not a version: numbers with dots between them, such as {self.example}")
        found = tuple(int(part) for part in parts)
        if self.most and found[0] > self.most:
            raise ValueError(f"is higher than any: write it with dots, such as {self.example}")
        return found

    def check(self, op: str, asked: Any) -> None:
        """Refuse "~=" on a version of one part: it would allow every later one, as ">=" does."""
        if op == "~=" and len(asked) < 2:
            raise ValueError("~= needs two parts or more, such as ~=12.4 (that or a later 12.x)")

    def read(self, have: Any) -> tuple[int, ...]:
        """Return the leading numeric parts of a version as a node states it: () where there are none."""
        numbers: list[int] = []
        for part in self._split(have) if isinstance(have, str) else []:
            digits = part[: _leading_digits(part)]
            if not digits or len(digits) > _SMALL:
                break
            numbers.append(int(digits))
            if digits != part:
                break
        return tuple(numbers)

    def compare(self, op: str, asked: Any, have: Any) -> bool | None:
        """Compare; a part that the node does not state is unknown, unless an earlier part decides."""
        stated = self.read(have)
        if op == "~=":
            within = self._order(asked[:-1], stated)
            if within != 0:
                return None if within is None else False
            op = ">="
        order = self._order(asked, stated)
        return None if order is None else compare_order(op, order)

    @staticmethod
    def _order(asked: tuple[int, ...], stated: tuple[int, ...]) -> int | None:
        """Return the order of ``stated`` against ``asked`` over the parts of ``asked``; None if parts are missing."""
        order = _order(stated[: len(asked)], asked[: len(stated)])
        return order if order or len(stated) >= len(asked) else None

    def encode(self, have: Any) -> int | None:
        """Return a.b.c as a*1000000 + b*1000 + c: Slurm compares Extra values as doubles.

        A part above 999 counts as 999.999, so that a later version never encodes lower.
        """
        stated = self.read(have)
        if not stated:
            return None
        major, minor, patch = (*stated, 0, 0)[:3]
        if minor > 999:
            minor, patch = 999, 999
        return major * 1_000_000 + minor * 1_000 + min(patch, 999)


class Capability(Version):
    """A compute capability: 9.0, which the compiler calls sm_90."""

    def parse(self, value: str) -> tuple[int, ...]:
        """Return the parts; raise ValueError for a number that is no capability, with the one that may be meant."""
        digits = value.casefold().removeprefix("sm_").removeprefix("compute_").rstrip("af")
        if is_whole(digits) and 20 <= int(digits[:9]) <= 999:
            raise ValueError(f"is no compute capability: write {digits[:-1]}.{digits[-1]}")
        parts = super().parse(value)
        if parts[0] >= 20:
            raise ValueError("is no compute capability such as 9.0")
        return parts


def _leading_digits(text: str) -> int:
    count = 0
    while count < len(text) and "0" <= text[count] <= "9":
        count += 1
    return count


class Size(Kind):
    """Bytes. ``base`` is 1024 (memory, as Slurm's --mem) or 1000 (GPU memory, as vendors sell it)."""

    name = "size"
    operators = (">=", ">", "<=", "<")
    value_help = "a size such as 80G"

    def __init__(self, base: int) -> None:
        self.base = base

    def operator_error(self, op: str) -> str:
        """Say why "=" makes no sense: no machine reports exactly what it was sold as."""
        return "a measured size is never exactly the one asked: use >= or < (also > and <=)"

    def parse(self, value: str) -> int:
        """Return bytes: a number, K M G or T, then perhaps B or iB (iB always counts in 1024s)."""
        number, suffix = _split_number(value)
        unit, tail = suffix[:1].upper(), suffix[1:].lower()
        if not number:
            raise ValueError("is not a size: a number and K, M, G or T, such as 80G")
        if not suffix:
            raise ValueError(f"has no unit: write {number}M or {number}G (K, M, G and T are known)")
        if unit not in "KMGT" or tail not in ("", "b", "ib"):
            raise ValueError("has no known unit: K, M, G or T, such as 80G")
        base = 1024 if tail == "ib" else self.base
        scale: int = base ** ("KMGT".index(unit) + 1)
        whole, _, fraction = number.partition(".")
        # Integers throughout: 0.1T in floating point would not be 100G.
        return int(whole) * scale + (int(fraction) * scale // 10 ** len(fraction) if fraction else 0)

    def compare(self, op: str, asked: Any, have: Any) -> bool | None:
        """Compare bytes with bytes; of a list (the least and the most that it may be) both ends must say the same."""
        if isinstance(have, list) and len(have) == 2:
            least, most = (self.compare(op, asked, end) for end in have)
            return least if least is most else None
        return compare_order(op, _order(have, asked)) if _is_number(have) else None

    def encode(self, have: Any) -> int | None:
        """Return whole MiB."""
        return int(have) // 2**20 if _is_number(have) else None

    def show(self, have: Any) -> str:
        """Return bytes for people, in the base that requirements count in: "85.5G"; of bounds the least."""
        have = have[0] if isinstance(have, list) and have else have
        if not _is_number(have):
            return "?"
        number, unit = float(have), 0
        while number >= self.base and unit < 4:
            number, unit = number / self.base, unit + 1
        shown = f"{int(number * 10) / 10:.1f}".removesuffix(".0")
        return shown + " KMGT"[unit].strip()


def _split_number(value: str) -> tuple[str, str]:
    """Return a leading decimal number ("" if there is none) and what follows it."""
    end = _leading_digits(value)
    if 0 < end < len(value) and value[end] == ".":
        fraction = _leading_digits(value[end + 1 :])
        end = end + 1 + fraction if fraction else end
    return (value[:end] if end <= _LARGE else ""), value[end:].strip()


def _is_number(have: Any) -> bool:
    return isinstance(have, (int, float)) and not isinstance(have, bool)


class Count(Kind):
    """Whole numbers; a bare name asks for at least one."""

    name = "count"
    operators = ("=", "!=", ">=", ">", "<=", "<")
    bare = True
    value_help = "a whole number"

    def parse(self, value: str) -> int:
        """Return the number asked."""
        if not is_whole(value, _LARGE):
            raise ValueError("is not a whole number")
        return int(value)

    def compare(self, op: str, asked: Any, have: Any) -> bool | None:
        """Compare numbers."""
        return compare_order(op, _order(have, asked)) if _is_number(have) else None

    def truth(self, have: Any) -> bool | None:
        """More than none."""
        return have > 0 if _is_number(have) else None

    def encode(self, have: Any) -> int | None:
        """Return the number."""
        return int(have) if _is_number(have) else None


class Flag(Kind):
    """Yes or no: a bare name only."""

    name = "flag"
    bare = True

    def operator_error(self, op: str) -> str:
        """Say how a flag is written."""
        return "it is yes or no and takes no value: write the name alone, or ! and the name"

    def truth(self, have: Any) -> bool | None:
        """Tell whether the value says yes: true, or a number above zero."""
        if have is None:
            return False
        return have > 0 if isinstance(have, (bool, int, float)) else None

    def encode(self, have: Any) -> int | None:
        """Return 1 or 0."""
        said = self.truth(have)
        return None if said is None else int(said)
