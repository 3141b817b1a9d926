"""Jobs on nodes with made-up configurations: what Slurm gives them is what Preflight takes their numbers for."""

import os

import pytest

from gres import jobs
from lab import releases, unavailable

pytestmark = pytest.mark.lab
NODES = int(os.environ.get("PREFLIGHT_GRES_NODES", "6"))


def test_jobs_have_the_gpus_that_their_numbers_stand_for() -> None:
    if reason := unavailable():
        pytest.skip(reason)
    release = releases.chosen()
    chosen = jobs.candidates(release, NODES, first=500)
    named = 0
    with jobs.cluster(release, chosen) as lab:
        started = [jobs.submit(lab, f"g{number}", one) for number, one in enumerate(chosen)]
        for one, submitted in zip(chosen, started):
            for kind, count, job in submitted:
                seen = jobs.seen(lab, job)
                about = f"{kind} {seen}\n{one.result}"
                assert seen.numbers == seen.shown, about
                assert {one.result.slurmd.types[number] for number in seen.numbers} == {kind}, about
                assert len(seen.numbers) == count, about
                assert len(seen.visible) == len(seen.numbers), about
                for number, visible in zip(seen.numbers, seen.visible):
                    if visible.startswith(("GPU-", "MIG-")):
                        assert visible == one.uuid(number), about
                        named += 1
    # MIG devices everywhere, whole GPUs as well on 26.05.
    assert named
