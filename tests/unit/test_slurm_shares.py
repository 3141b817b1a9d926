"""How many shares of a GPU one GPU has, as sinfo tells it."""

import time
from pathlib import Path

import pytest

from preflight.slurm import shares
from preflight.slurm.commands import Slurm


@pytest.mark.parametrize(
    ("used", "most"),
    [
        ("gpu:a100:0(IDX:N/A),shard:a100:0(0/2,0/2)", {"shard": 2}),
        ("gpu:a100:1(IDX:1),shard:a100:3(0/1,3/3)", {"shard": 3}),
        ("gpu:0(IDX:N/A),mps:0(0/100,0/100),shard:0(0/4)", {"mps": 100, "shard": 4}),
        ("gpu:h100:0(IDX:N/A)", {}),
        ("gpu:0,shard:0", {}),
        ("", {}),
    ],
)
def test_the_most_of_one_gpu(used: str, most: dict[str, int]) -> None:
    assert shares.most_of(used) == most


@pytest.mark.parametrize(
    ("parameters", "found"), [("CR_CPU", {"n1": {"shard": 2}}), (f"CR_CPU,{shares.SEVERAL}", None)]
)
def test_a_site_may_give_a_job_those_of_several_gpus(parameters: str, found: object, tmp_path: Path) -> None:
    rows = {"scontrol": f'echo "SelectTypeParameters    = {parameters}"',
            "sinfo": 'm=${4#*:0}; m=${m%%,*}; printf "n1%sshard:0(0/2,0/2)%s" "$m" "$m"'}  # fmt: skip
    for name, text in rows.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    assert shares.of_one_gpu(Slurm(str(tmp_path), "", time.monotonic() + 60)) == found
