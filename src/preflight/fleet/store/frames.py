"""How a report is kept: one zstd frame, with a dictionary made from reports like it."""

from __future__ import annotations

import hashlib
import random
import sys
from collections.abc import Sequence
from typing import NamedTuple

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

LEVEL = 1  # with a dictionary a third more than level 3, in two thirds of the time
DICTIONARY_BYTES = 64 << 10
SAMPLES = 200  # reports that a dictionary is made from: of more it is no better
LEAST_SAMPLES = 100
CANDIDATES, TRIED_ON, LEAST_GAIN = 4, 16, 0.995
HEAD_BYTES = 1 << 10  # what a dictionary holds beside its reports, generously
NONE = 0  # the number of no dictionary


class Frame(NamedTuple):
    """A packed report; ``number``: of the dictionary that it was packed with."""

    number: int
    content: bytes


class Frames:
    """Packs reports with the newest dictionary and unpacks those of each; ``number`` and ``content``: the newest's.

    One thread may pack while another learns or packs.
    """

    def __init__(self) -> None:
        self._known: dict[int, zstd.ZstdDict] = {}
        self.number = NONE
        self.content = b""
        self._packer = NONE, zstd.ZstdCompressor(level=LEVEL)

    def learn(self, number: int, content: bytes) -> None:
        """Take a dictionary; what is packed from now on is packed with it."""
        self._known[number] = zstd.ZstdDict(content)
        self.number, self.content = number, content
        self._packer = number, zstd.ZstdCompressor(level=LEVEL, zstd_dict=self._known[number].as_digested_dict)

    def pack(self, raw: bytes | memoryview) -> Frame:
        """Return ``raw`` as a frame of its own."""
        number, packer = self._packer
        return Frame(number, packer.compress(raw, packer.FLUSH_FRAME))

    def unpack(self, number: int, frame: bytes) -> bytes:
        """Return what was packed with dictionary ``number``; raises KeyError where it is not known."""
        if number == NONE:
            return zstd.decompress(frame)
        return zstd.decompress(frame, zstd_dict=self._known[number].as_digested_dict)

    def knows(self, number: int) -> bool:
        """Return whether what was packed with dictionary ``number`` can be unpacked."""
        return number == NONE or number in self._known


def train(samples: Sequence[bytes]) -> tuple[int, bytes] | None:
    """Return a dictionary for reports like ``samples`` and its number (63 bits), None where there are too few.

    Reports differ from each other in few places, so whole ones are the dictionary: frames are a third smaller than with
    what zstd's trainer puts together from pieces, in a tenth of its time. zstd adds what it knows of their letters.
    """
    if len(samples) < LEAST_SAMPLES:
        return None
    try:
        chosen = zstd.ZstdDict(_chosen(samples), is_raw=True)
        content = zstd.finalize_dict(chosen, samples, DICTIONARY_BYTES, LEVEL).dict_content
    except (zstd.ZstdError, ValueError):  # samples that have nothing in common, or are too short for one
        return None
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "big") >> 1 or 1, content


def _chosen(samples: Sequence[bytes]) -> bytes:
    """Return samples one behind the other: each is the one of a few that, before those chosen, makes others smallest.

    So one that is like no other is not among them, unless nothing is.
    """
    chance = random.Random(len(samples))
    others = chance.sample(samples, min(TRIED_ON, len(samples)))
    chosen, least = b"", float("inf")
    while True:
        fit = [one for one in samples if len(one) + len(chosen) + HEAD_BYTES <= DICTIONARY_BYTES]
        tried = [one + chosen for one in chance.sample(fit, min(CANDIDATES, len(fit)))]
        sizes = [_size(others, one) for one in tried]
        if not tried or min(sizes) > least * LEAST_GAIN:
            return chosen or samples[0][:DICTIONARY_BYTES]
        least = min(sizes)
        chosen = tried[sizes.index(least)]


def _size(samples: Sequence[bytes], content: bytes) -> int:
    packer = zstd.ZstdCompressor(level=LEVEL, zstd_dict=zstd.ZstdDict(content, is_raw=True).as_digested_dict)
    return sum(len(packer.compress(one, packer.FLUSH_FRAME)) for one in samples)
