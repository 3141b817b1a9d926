"""How a report is kept: one zstd frame, with a dictionary made from reports like it."""

from __future__ import annotations

import hashlib
import random
import re
import sys
from collections import Counter
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
COMMON = 0.25  # of the samples: what so many have is no report's own
LONG = 4  # letters of a name that is looked for within words too
_WORD = re.compile(rb"[A-Za-z0-9\x80-\xff]+")
_NAME = re.compile(rb"[A-Za-z0-9_.\x80-\xff-]+")
_USER = re.compile(rb'"user":"([^"]+)"')
_OWN = re.compile(rb'"nodes?":"([^"]+)"|"(?:id|array_job_id|uid)":([0-9]{3,})')
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

    def content_of(self, number: int) -> bytes:
        """Return dictionary ``number``; raises KeyError where it is not known."""
        return self._known[number].dict_content

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


def neutral(samples: Sequence[bytes]) -> list[bytes]:
    """Return reports of the same lengths without what is a user's: a dictionary outlives its reports.

    A word stays where a COMMON part of the reports have it and it is of no user, node or job number of any of them.
    """
    found = Counter(word for one in samples for word in set(_WORD.findall(one)))
    users = {name for one in samples for name in _USER.findall(one)}
    own = users | {word for name in users for word in _WORD.findall(name)}
    own |= {name for one in samples for pair in _OWN.findall(one) for name in pair} - {b""}
    long = [name for name in own if len(name) >= LONG]
    common = {word for word, number in found.items() if number >= len(samples) * COMMON}
    stays = {word for word in common if word not in own and not any(name in word for name in long)}
    known: dict[bytes, bytes] = {}

    def blanked(its: re.Match[bytes]) -> bytes:
        name = its[0]
        if name not in known:
            kept = _WORD.sub(lambda word: word[0] if word[0] in stays else b"x" * len(word[0]), name)
            known[name] = b"x" * len(name) if name in own or any(one in kept for one in long) else kept
        return known[name]

    return [_NAME.sub(blanked, one) for one in samples]


def _chosen(samples: Sequence[bytes]) -> bytes:
    """Return samples, neutral, one behind the other: each is the one of a few that makes others smallest before those.

    So one that is like no other is not among them, unless nothing is.
    """
    chance = random.Random(len(samples))
    others = chance.sample(samples, min(TRIED_ON, len(samples)))
    shapes = neutral(samples)
    chosen, least = b"", float("inf")
    while True:
        fit = [one for one in shapes if len(one) + len(chosen) + HEAD_BYTES <= DICTIONARY_BYTES]
        tried = [one + chosen for one in chance.sample(fit, min(CANDIDATES, len(fit)))]
        sizes = [_size(others, one) for one in tried]
        if not tried or min(sizes) > least * LEAST_GAIN:
            return chosen or shapes[0][:DICTIONARY_BYTES]
        least = min(sizes)
        chosen = tried[sizes.index(least)]


def _size(samples: Sequence[bytes], content: bytes) -> int:
    packer = zstd.ZstdCompressor(level=LEVEL, zstd_dict=zstd.ZstdDict(content, is_raw=True).as_digested_dict)
    return sum(len(packer.compress(one, packer.FLUSH_FRAME)) for one in samples)
