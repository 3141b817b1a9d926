"""The mutator: inputs made of seeds by what breaks readers of text and of binary formats, by a seeded Random."""

import re
from collections.abc import Callable
from random import Random

from fuzz.target import Target

_EDGES = (0, 1, -1, 255, 256, 65535, 65536, 2**31 - 1, 2**31, 2**32, 2**63, 2**64, 10**19, 10**40)
NUMBERS = (
    *(str(one).encode() for one in _EDGES), b"00", b"1e999", b"NaN", b"0x10", b"1_000", b"+1", b"1.5",
    "\u00b2".encode(), "\u0663".encode(), b"9" * 4400,
)  # fmt: skip
TEXTS = (
    b"\0", b"\n", b"\r\n", b"\t", b" ", b"\x1b[2J", b"\xff\xfe", b"\xc0\x80", b"\xed\xa0\x80", "\u00e9".encode(),
    "\u017f".encode(), "\u0130".encode(), "\u202e".encode(), "\u2028".encode(), "\ufeff".encode(),
    "\U0010ffff".encode(),
    b"%s%n", b"../", b"$(x)", b"`", b"\\", b'"', b"'", b"[", b"]", b"{", b"}", b"(", b")", b",", b";", b":", b"=", b"|",
    b"#", b"!", b"*", b"-",
)  # fmt: skip
_DIGITS = re.compile(rb"\d+")


class Mutator:
    """Makes inputs for one target; the same ``seed`` gives the same inputs."""

    def __init__(self, target: Target, seed: int) -> None:
        self.target = target
        self.random = Random(f"{target.name}:{seed}")
        self.words = (*target.tokens, *target.tokens, *TEXTS, *NUMBERS)

    def new(self) -> bytes:
        """Return a new input, made of the seeds."""
        return self.changed(self.random.choice(self.target.seeds), self.target.longest)

    def changed(self, data: bytes, longest: int) -> bytes:
        """Return ``data`` with one to eight changes, at most ``longest`` bytes of it."""
        ways: tuple[Callable[[bytes], bytes], ...] = (
            self._flip, self._insert, self._insert, self._remove, self._repeat, self._number, self._splice, self._cut,
            self._swap, self._word, self._nest,
        )  # fmt: skip
        for _ in range(min(self.random.randint(1, 8), self.random.randint(1, 8))):
            data = self.random.choice(ways)(data)
        return data[:longest]

    def _span(self, data: bytes) -> tuple[int, int]:
        low = self.random.randint(0, len(data))
        return low, min(len(data), low + self.random.choice((1, 1, 2, 4, 8, 32, 256)))

    def _flip(self, data: bytes) -> bytes:
        if not data:
            return b"\0"
        at = self.random.randrange(len(data))
        return data[:at] + bytes([data[at] ^ 1 << self.random.randrange(8)]) + data[at + 1 :]

    def _word(self, data: bytes) -> bytes:
        """Overwrite a binary number of 1, 2, 4 or 8 bytes by one at an edge."""
        size = self.random.choice((1, 2, 4, 8))
        if len(data) < size:
            return data
        at = self.random.randint(0, len(data) - size)
        edge = self.random.choice((0, 1, 127, 255, 1 << 12, 1 << 16, 1 << 31, (1 << 63) - 1, -1, -2, len(data), at))
        return data[:at] + (edge % (1 << 8 * size)).to_bytes(size, "little") + data[at + size :]

    def _insert(self, data: bytes) -> bytes:
        at = self.random.randint(0, len(data))
        return data[:at] + self.random.choice(self.words) + data[at:]

    def _remove(self, data: bytes) -> bytes:
        low, high = self._span(data)
        return data[:low] + data[high:]

    def _repeat(self, data: bytes) -> bytes:
        low, high = self._span(data)
        return data[:low] + data[low:high] * self.random.choice((2, 2, 3, 17, 1000)) + data[high:]

    def _nest(self, data: bytes) -> bytes:
        """Put brackets within each other, as deep as there is room."""
        opening = self.random.choice((b"[", b"{", b"(", b'{"a":', b"$(", b"a=[", b"include "))
        at = self.random.randint(0, len(data))
        return data[:at] + opening * self.random.choice((3, 60, 1200)) + data[at:]

    def _number(self, data: bytes) -> bytes:
        found = list(_DIGITS.finditer(data))
        if not found:
            return data
        one = self.random.choice(found)
        return data[: one.start()] + self.random.choice(NUMBERS) + data[one.end() :]

    def _splice(self, data: bytes) -> bytes:
        other = self.random.choice(self.target.seeds)
        low, high = self._span(other)
        return data[: self.random.randint(0, len(data))] + other[low : max(high, self.random.randint(low, len(other)))]

    def _cut(self, data: bytes) -> bytes:
        return data[: self.random.randint(0, len(data))]

    def _swap(self, data: bytes) -> bytes:
        low, high = self._span(data)
        at = self.random.randint(0, len(data))
        return data[:at] + data[low:high] + data[at:]
