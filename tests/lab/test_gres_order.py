"""The order of a node's GPUs: Preflight's reader against `slurmd -G`, for configurations made up from seeds.

More of them by hand: `python -m gres.compare --count 300`, from tests/.
"""

import os
import random
from collections.abc import Iterator

import pytest

from gres import configs
from gres.compare import REFUSED, SAME, compare, misled
from gres.facts import Facts
from gres.slurmd import Slurmd, parse
from lab import releases, unavailable

COUNT = int(os.environ.get("PREFLIGHT_GRES_COUNT", "30"))
# Another sample in each place of the world and on each day would be no help to whom a red test is shown.
SEEDS = random.Random(9).sample(range(1_000_000), COUNT)


@pytest.fixture(scope="module")
def asked() -> Iterator[tuple[Slurmd, Facts]]:
    if reason := unavailable():
        pytest.skip(reason)
    with Slurmd(releases.chosen()) as slurmd, Facts(slurmd.library) as facts:
        yield slurmd, facts


@pytest.mark.lab
def test_every_position_is_the_gpu_that_slurmd_means_also_when_one_is_lost(asked: tuple[Slurmd, Facts]) -> None:
    results = [compare(*asked, configs.make(seed)) for seed in SEEDS]
    assert not [str(one) for one in results if one.word not in (SAME, REFUSED)]
    whole = [one for one in results if one.word == SAME and len(one.ours) > 1 and "count" not in one.configuration.kind]
    assert not [said for said in (misled(*asked, one) for one in whole) if said]
    # The comparison compares something.
    assert sum(one.word == SAME and len(one.ours) > 1 for one in results) > COUNT // 3


def test_what_slurmd_prints_is_read_position_by_position() -> None:
    answer = parse(
        "slurmd: Gres Name=gpu Type=h100 Count=3 Index=2 ID=7 File=/dev/nvidia[4,0-1] (null)\n"
        "slurmd: Gres Name=shard Type=(null) Count=4 Index=1 ID=19 File=/dev/nvidia1 Cores=0-3\n"
        "slurmd: Gres Name=gpu Type=1g.5gb Count=1 Index=13 ID=7 "
        "File=/dev/nvidia0,/dev/nvidia-caps/nvidia-cap12,/dev/nvidia-caps/nvidia-cap13 Links=(null) Flags=HAS_FILE\n"
        "slurmd: Gres Name=gpu Type=fileless Count=4 ID=7\n"
    )
    assert answer.devices == [(4, ()), (0, ()), (1, ()), (0, (12, 13))]
    assert answer.types == ["h100", "h100", "h100", "1g.5gb"]


def test_a_seed_is_always_the_same_configuration() -> None:
    assert configs.make(7) == configs.make(7)
    assert len({configs.make(seed).gres_conf for seed in range(200)}) > 100
