"""How reports are packed: a dictionary made from reports makes others like them small."""

import random

from fleet import samples
from preflight.fleet.store.frames import LEAST_SAMPLES, Frames, train


def some(number: int, begin: int = 0) -> list[bytes]:
    at = samples.START
    return [samples.report(f"n{one % 9}", at + one * 61, job=one, seed=one) for one in range(begin, begin + number)]


def size(content: tuple[int, bytes], raws: list[bytes]) -> int:
    frames = Frames()
    frames.learn(*content)
    packed = [frames.pack(raw).content for raw in raws]
    assert [frames.unpack(content[0], frame) for frame in packed] == raws
    return sum(map(len, packed))


def test_a_dictionary_makes_reports_small_and_what_is_like_no_other_is_not_in_it() -> None:
    chance, others = random.Random(1), some(50, 1000)
    made = train(some(LEAST_SAMPLES))
    assert made is not None
    assert size(made, others) < sum(map(len, others)) / 15
    strange = [chance.randbytes(20_000) for _ in range(LEAST_SAMPLES // 10)]
    mixed = train([*strange, *some(LEAST_SAMPLES)])
    assert mixed is not None
    assert size(mixed, others) < 1.3 * size(made, others)


def test_of_what_has_nothing_in_common_a_dictionary_is_none_or_does_no_harm() -> None:
    chance = random.Random(2)
    assert train(some(LEAST_SAMPLES - 1)) is None
    for one in (b"", b"x", b"{}", b"x" * 70_000, chance.randbytes(100_000)):
        raws = [one] * LEAST_SAMPLES
        made = train(raws)
        assert made is None or size(made, raws[:3]) <= 3 * (len(one) + 30)
