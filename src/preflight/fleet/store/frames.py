"""How a report is kept: one zstd frame, with a dictionary made from reports like it."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

LEVEL = 1  # with a dictionary a third more than level 3, in two thirds of the time
DICTIONARY_BYTES = 64 << 10
SAMPLES = 400  # reports that a dictionary is made from: of more it is no better, and takes longer
LEAST_SAMPLES = 200
NONE = 0  # the number of no dictionary


class Frames:
    """Packs reports with the newest dictionary and unpacks those of each; ``number`` and ``content``: the newest's."""

    def __init__(self) -> None:
        self._known: dict[int, zstd.ZstdDict] = {}
        self.number = NONE
        self.content = b""
        self._packer = zstd.ZstdCompressor(level=LEVEL)

    def learn(self, number: int, content: bytes) -> None:
        """Take a dictionary; what is packed from now on is packed with it."""
        self._known[number] = zstd.ZstdDict(content)
        self.number, self.content = number, content
        self._packer = zstd.ZstdCompressor(level=LEVEL, zstd_dict=self._known[number].as_digested_dict)

    def pack(self, raw: bytes | memoryview) -> bytes:
        """Return ``raw`` as a frame of its own."""
        return self._packer.compress(raw, self._packer.FLUSH_FRAME)

    def unpack(self, number: int, frame: bytes) -> bytes:
        """Return what was packed with dictionary ``number``; raises KeyError where it is not known."""
        if number == NONE:
            return zstd.decompress(frame)
        return zstd.decompress(frame, zstd_dict=self._known[number].as_digested_dict)

    def knows(self, number: int) -> bool:
        """Return whether what was packed with dictionary ``number`` can be unpacked."""
        return number == NONE or number in self._known


def train(samples: Sequence[bytes]) -> tuple[int, bytes] | None:
    """Return a dictionary for reports like ``samples`` and its number (63 bits), None where there are too few."""
    if len(samples) < LEAST_SAMPLES:
        return None
    try:
        content = zstd.train_dict(samples, DICTIONARY_BYTES).dict_content
    except zstd.ZstdError:  # samples that have nothing in common
        return None
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "big") >> 1 or 1, content
