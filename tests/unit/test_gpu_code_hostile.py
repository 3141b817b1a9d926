"""Damaged and hostile files: nothing is raised, the work is bounded whatever they hold, never a wrong yes."""

import random
import struct
from collections.abc import Callable

import pytest

from fuzz.targets import gpu_code as target
from preflight.artifacts.gpu_code import read_bytes
from preflight.artifacts.gpu_code import window as windows
from preflight.artifacts.gpu_code.window import Budget, Damaged
from unit import gpu_code_samples as make
from unit.gpu_code_samples import container, image, library

MUTANTS = 3000  # of all seeds together; `make fuzz TARGET=gpu_code N=1000000` makes more
NUMBERS = (0, 1, 7, 8, 16, 24, 63, 64, 0xFF, 0x7FFF, 0xFFFF, 1 << 31, (1 << 32) - 1, 1 << 63, (1 << 64) - 1)


def mutant(data: bytes, chance: random.Random) -> bytes:
    """Return the data with a few bytes, numbers or parts changed, or cut off."""
    made = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        if len(made) < 16:
            return bytes(made)
        at, kind = chance.randrange(len(made)), chance.randrange(6)
        if kind == 0:
            made[at] ^= 1 << chance.randrange(8)
        elif kind == 1:
            made[at : at + 8] = struct.pack("<Q", chance.choice(NUMBERS))[: len(made) - at]
        elif kind == 2:
            made[at & ~3 : (at & ~3) + 4] = struct.pack("<Q", chance.choice(NUMBERS))[:4]
        elif kind == 3:
            other, size = chance.randrange(len(made)), chance.choice((4, 8, 24, 64, 200))
            made[at : at + size] = made[other : other + size]
        elif kind == 4:
            made[at : at + 2] = struct.pack("<H", chance.choice(NUMBERS) & 0xFFFF)
        else:
            del made[at:]
    return bytes(made)


@pytest.mark.parametrize("number", range(len(target.seeds())))
def test_mutants_are_stood(number: int) -> None:
    chance = random.Random(number)
    seed = target.seeds()[number]
    target.check(seed)
    for _ in range(MUTANTS // len(target.seeds())):
        target.check(mutant(seed, chance))


@pytest.mark.parametrize("number", range(len(target.seeds())))
def test_each_end_is_stood(number: int) -> None:
    seed = target.seeds()[number]
    for end in range(0, len(seed), 7):
        target.check(seed[:end])


def many_sections(name: str, count: int, data: bytes, kind: int = 1) -> bytes:
    """Return a file whose sections of one name are all the same bytes."""
    made = bytearray(make.elf([make.Section(name, data, kind)]))
    table = struct.unpack_from("<Q", made, 0x28)[0]
    row = bytes(made[table + 64 : table + 128])
    names = bytes(made[table + 128 : table + 192])
    made[table + 64 :] = row * count + names
    struct.pack_into("<H", made, 0x3C, count + 2)
    struct.pack_into("<H", made, 0x3E, count + 1)
    return bytes(made)


HOSTILE: dict[str, Callable[[], bytes]] = {
    "sections that overlap": lambda: many_sections(".nv_fatbin", 60_000, b"\x50\xed\x55\xba" * 4096),
    "record sections that overlap": lambda: many_sections(".nvFatBinSegment", 60_000, b"\xb1\x43\x62\x46" + bytes(20)),
    "a few sections of many wrong leads": lambda: many_sections(".nv_fatbin", 60, b"\x50\xed\x55\xba" * 50_000),
    "images without end": lambda: container(image(90, data=b"", flags=0x11) * 60_000),
    "containers without end": lambda: make.elf([make.Section(".nv_fatbin", container() * 60_000)]),
    "members without end": lambda: make.archive({"a": b""})[:8] + make.archive({"a": b""})[8:] * 60_000,
}
UNSEEN = ("record sections that overlap",)  # of a file without code they are not read


@pytest.mark.parametrize("what", HOSTILE)
def test_work_is_bounded(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    spent = []
    original = Budget.spend

    def spend(self: Budget, steps: int = 1) -> None:
        spent.append(steps)
        original(self, steps)

    monkeypatch.setattr(Budget, "spend", spend)
    code = read_bytes(HOSTILE[what](), Budget(50_000))
    assert code.complete is (what in UNSEEN)
    assert sum(spent[:-1]) <= 50_000
    assert len(spent) <= 100_002  # a search within one page costs nothing, and follows a step
    target.judge(code)


def test_a_list_of_versions_that_goes_round_ends() -> None:
    data = bytearray(library(versions=["GLIBC_2.28"]))
    need = bytes(data).index(struct.pack("<HHIII", 1, 1, 0, 16, 0)[:4])
    at = next(at for at in range(need, len(data)) if data[at : at + 4] == b"\1\0\1\0")
    data[at + 12 : at + 16] = struct.pack("<I", 0xFFFFFFFF)
    target.check(bytes(data))
    round_ = bytearray(library(versions=["GLIBC_2.28"] * 3))
    target.check(bytes(round_))


def test_a_window_gives_nothing_beyond_its_bounds() -> None:
    window = windows.Window(bytes(range(16)), 4, 8)
    assert (window.slice(0, 8), window.number(6, 2)) == (bytes(range(4, 12)), 0x0B0A)
    assert (window.find(b"\x0c", 0, 100), window.find(b"\x04", 0, 1), window.find(b"\x04", 3, 2)) == (-1, 0, -1)
    for at, size in ((0, 9), (8, 1), (-1, 2), (7, 2), (1 << 63, 8)):
        with pytest.raises(Damaged):
            window.slice(at, size)
    for start, size in ((4, 13), (-1, 2), (20, None)):
        with pytest.raises(Damaged):
            windows.Window(bytes(16), start, size)


def test_no_image_is_read_from_beyond_its_section() -> None:
    unit = container(image(90))
    data = bytearray(library([unit]))
    at = bytes(data).rindex(b"\x50\xed\x55\xba")
    struct.pack_into("<Q", data, at + 8, len(unit) + 4096)
    assert [one.role for one in read_bytes(bytes(data)).containers if one.role == "loaded"] == []
