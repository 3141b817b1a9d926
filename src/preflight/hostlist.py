"""Slurm's node lists ("n[01-101],r[1-2]c[3,5],login"): read as Slurm reads them, written as every release takes them.

Read as `scontrol show hostnames` of 24.11 and 26.05 (src/common/hostlist.c): commas, blanks, tabs and newlines part
the items; a number in brackets is written at least as wide as its range's first one; brackets may stand anywhere in a
name. 22.05 takes text behind a bracket only where another bracket ends the name; what it refuses is read here too.

Written for the narrowest of them: brackets only around the number that ends a name, commas for all else.

Stricter than Slurm where it guesses, so that no list is taken for another than its writer meant: a bracket without its
partner, brackets in brackets, letters in a range ("n[1/2-9]" is n001 to n009 to Slurm), numbers of 2^64 - 1 and more,
a wrong range in the first of three brackets (Slurm passes the item over in silence), and its functions
("feature{gpu}"), which only the controller can expand.
"""

from __future__ import annotations

from preflight.digits import is_whole

TYPE_CHECKING = False
MOST_IN_RANGE = 1 << 16  # hostlist.h: MAX_RANGE, and MAX_PREFIX_CNT for the numbers of all brackets but the last
MOST_HOSTS = 1 << 18  # of a list, doubles counted; hostlist.c: MAX_RANGES. A cluster has 64 Ki nodes at most
MOST_CHARACTERS = 1 << 25  # of all hosts of a list together
_MOST_NUMBER = (1 << 64) - 2  # a number above is cut to 2^64 - 1
_DIGITS = "0123456789"
_PARTING = str.maketrans("\t \n", ",,,")
_LEADING = " \t\n\v\f\r"  # what strtoul passes over; Slurm counts it as width
_NEVER = frozenset("[]{},\t \n")  # in no host's name


if TYPE_CHECKING:
    _Range = tuple[int, int, int]  # low, high, the least width of each number
    _Item = tuple[list[str], list[list[_Range]]]  # the literal texts, and the brackets between each two of them


class HostlistError(ValueError):
    """A text that is no host list; one line."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"not a host list: {problem}")


def in_order(text: str) -> list[str]:
    """Return the hosts of ``text`` in the order written, doubles too, as `scontrol show hostnames`; "" has none.

    Raises HostlistError where it is no host list, or one of more than MOST_HOSTS hosts.
    """
    found: list[str] = []
    for literals, brackets in _items(text):
        if not brackets:
            found += literals
            continue
        made = [literals[0]]
        for at, ranges in enumerate(brackets, 1):
            after = literals[at]
            numbers = [f"{one:0{width}}{after}" for low, high, width in ranges for one in range(low, high + 1)]
            if at < len(brackets):  # Slurm's order: of a[1-2]b[1-2]c[1-2] b changes last, c first
                made = [head + number for number in numbers for head in made]
            else:
                made = [head + number for head in made for number in numbers]
        found += made
    return found


def names(text: str) -> set[str]:
    """Return the hosts of ``text``; "" has none. Raises HostlistError as `in_order` does."""
    return set(in_order(text))


def check(text: str) -> None:
    """Raise HostlistError where ``text`` is no host list, without expanding it."""
    _items(text)


def contains(text: str, host: str) -> bool:
    """Return whether ``host`` is among the hosts of ``text``, without expanding it. Raises HostlistError."""
    return any(_matches(host, literals, brackets) for literals, brackets in _items(text))


def folded(hosts: set[str] | frozenset[str] | list[str] | tuple[str, ...]) -> str:
    """Return the hosts as one host list that every supported release reads, sorted, each host once.

    Raises HostlistError for a name that no host can have ("", "a,b", "n[1").
    """
    numbered: dict[str, set[str]] = {}
    alone: set[str] = set()
    for host in hosts:
        if not host or not _NEVER.isdisjoint(host) or not host.isprintable():
            raise HostlistError(f"no host can be called {_shown(host)}")
        head = host.rstrip(_DIGITS)
        digits = host[len(head) :]
        if digits and len(digits.lstrip("0")) < 19:
            numbered.setdefault(head, set()).add(digits)
        else:
            alone.add(host)
    written = [(head, head + _brackets(digits)) for head, digits in numbered.items()]
    written += [(host, host) for host in alone]
    return ",".join(_naturally(written))


def _brackets(numbers: set[str]) -> str:
    """Return the numbers as "[1-3,7]", one alone as it is."""
    if len(numbers) == 1:
        return next(iter(numbers))
    parts = []
    for low, high, width in _runs(numbers):
        first = f"{low:0{width}}"
        parts.append(first if low == high else f"{first}-{high:0{width}}")
    return f"[{','.join(parts)}]"


def _runs(numbers: set[str]) -> list[tuple[int, int, int]]:
    """Return ranges (low, high, width) that hold just these numbers: (8, 10, 2), (100, 100, 1) for 08, 09, 10, 100."""
    padded: dict[int, list[int]] = {}
    free: set[int] = set()
    for one in numbers:
        if one[0] == "0" and len(one) > 1:
            padded.setdefault(len(one), []).append(int(one))
        else:
            free.add(int(one))
    runs = []
    for width in sorted(padded):
        for low, high in _stretches(padded[width]):
            last = high
            if high == 10 ** (width - 1) - 1:  # the last with a zero: what follows is written alike with and without
                while last + 1 in free:
                    last += 1
                free.difference_update(range(high + 1, last + 1))
            runs.append((low, last, width))
    runs += [(low, high, 1) for low, high in _stretches(free)]
    return sorted(
        (first, min(first + MOST_IN_RANGE - 1, high), width)
        for low, high, width in runs
        for first in range(low, high + 1, MOST_IN_RANGE)
    )


def _stretches(numbers: set[int] | list[int]) -> list[tuple[int, int]]:
    """Return the stretches (low, high) without a gap."""
    found: list[tuple[int, int]] = []
    low = high = -2
    for number in sorted(numbers):
        if number != high + 1:
            if high >= 0:
                found.append((low, high))
            low = number
        high = number
    if high >= 0:
        found.append((low, high))
    return found


def _naturally(written: list[tuple[str, str]]) -> list[str]:
    """Return the texts in the order of their names, r2 before r10."""
    from re import compile as pattern  # not on the passing path: a hook that writes a list has something to do

    padded = pattern("[0-9]+").sub
    return [
        text for _, text in sorted((padded(lambda digits: digits[0].zfill(19), name), text) for name, text in written)
    ]


def _items(text: str) -> list[_Item]:
    """Return the list's items, checked and within the limits; those without brackets are one, where they follow."""
    if "{" in text:
        raise HostlistError(f"{_shown(text)}: a function ({{…}}), which only Slurm's controller can expand")
    found: list[_Item] = []
    literals: list[str] = []  # of the item that is read: one more than brackets
    brackets: list[list[_Range]] = []
    room = _Room(text)
    for at, piece in enumerate(text.split("[")):
        inside, closed, outside = piece.partition("]") if at else ("", "]", piece)
        if not closed or "]" in outside:
            raise HostlistError(f"{_shown(text)}: a bracket without its partner, or one in another")
        if at:
            brackets.append(_ranges(inside, text))
        first, *more = outside.translate(_PARTING).split(",")
        literals.append(first)
        if not more:
            continue
        found += room.take(literals, brackets)
        *whole, last = more
        found += room.take(whole, [])
        literals, brackets = [last], []
    return found + room.take(literals, brackets)


def _ranges(inside: str, text: str) -> list[_Range]:
    """Return the ranges (low, high, width) of a bracket's text, "01-03,7"."""
    found = []
    for one in inside.split(","):
        first, _, last = one.partition("-")
        low = _number(first)
        high = _number(last) if last else low  # "[1-]" is "[1]"
        if low is None or high is None or low > high:
            raise HostlistError(f"{_shown(text)}: {_shown(one)} is no range of numbers")
        if high - low >= MOST_IN_RANGE:
            raise HostlistError(f"{_shown(text)}: a range of more than {MOST_IN_RANGE} hosts")
        found.append((low, high, len(first)))
    return found


def _number(text: str) -> int | None:
    """Return a number as strtoul reads it, None for what is none or too large."""
    digits = text.lstrip(_LEADING)
    digits = digits[1:] if digits[:1] == "+" else digits
    if not (is_whole(digits)) or len(digits.lstrip("0")) > 20:
        return None
    number = int(digits.lstrip("0") or "0")
    return number if number <= _MOST_NUMBER else None


class _Room:
    """What a list may still hold: counts hosts and characters before any host is made."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.hosts, self.characters = MOST_HOSTS, MOST_CHARACTERS

    def take(self, literals: list[str], brackets: list[list[_Range]]) -> list[_Item]:
        """Return the item, as a list of one, or of none where it is empty; raises HostlistError past the limits."""
        if not brackets:
            literals = [one for one in literals if one]
        if not literals:
            return []
        hosts = 1 if brackets else len(literals)
        length = sum(map(len, literals))
        for at, ranges in enumerate(brackets):
            count = sum(high - low + 1 for low, high, _ in ranges)
            if at < len(brackets) - 1 and count > MOST_IN_RANGE:
                raise HostlistError(f"{_shown(self.text)}: brackets of more than {MOST_IN_RANGE} numbers")
            hosts *= count
            if hosts > self.hosts:
                break
            length += max(max(width, len(str(high))) for _, high, width in ranges)
        self.hosts -= hosts
        self.characters -= length * (hosts if brackets else 1)
        if self.hosts < 0 or self.characters < 0:
            raise HostlistError(f"{_shown(self.text)}: more hosts than the {MOST_HOSTS} that a list may hold")
        return [(literals, brackets)]


def _matches(host: str, literals: list[str], brackets: list[list[_Range]]) -> bool:
    """Return whether ``host`` is among the hosts of one item."""
    if not brackets:
        return host in literals
    places = {len(literals[0])} if host.startswith(literals[0]) else set()
    for ranges, literal in zip(brackets, literals[1:]):
        places = {
            end + len(literal)
            for place in places
            for end in _ends(host, place)
            if host.startswith(literal, end) and _within(host[place:end], ranges)
        }
    return len(host) in places


def _ends(host: str, place: int) -> range:
    """Return where the digits that begin at ``place`` may end."""
    digits = len(host) - place - len(host[place:].lstrip(_DIGITS))
    return range(place + 1, place + digits + 1)


def _within(digits: str, ranges: list[_Range]) -> bool:
    bare = digits.lstrip("0")
    if len(bare) > 20:
        return False
    number, size = int(bare or "0"), len(digits)
    return any(
        low <= number <= high and (size == width or (size > width and digits[0] != "0")) for low, high, width in ranges
    )


def _shown(text: str) -> str:
    """Return the text for a message: one short line."""
    return repr(text if len(text) <= 60 else f"{text[:57]}…")
