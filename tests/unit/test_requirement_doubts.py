"""What no node can hold is said while its writer looks: `preflight require` and `plan`."""

from __future__ import annotations

import pytest
from click.testing import CliRunner
from plan_samples import part

from preflight.catalog.tables import SHIPPED
from preflight.cli.require import require
from preflight.requirements.doubts import doubts
from preflight.requirements.grammar import parse


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("gpu=sm_90", "gpu.arch>=9.0"),
        ("gpu=hopper", "gpu.arch>=9.0"),
        ("gpu=turing", "gpu.arch>=7.5"),
        ("gpu=mi300x", "--gres=gpu:mi300x:1"),
        ("gpu=a10000", "no NVIDIA GPU that is known has a10000"),
        ("gpu=rtx4099", "no NVIDIA GPU that is known"),
        ("os=linux", "no distribution"),
        ("os=centos-stream", "no distribution"),
        ("ubuntu>=22.04, rhel>=9", "ubuntu>=22.04 | rhel>=9"),
        ("os=debian, ubuntu>=22.04", "no node has both"),
        ("kernel>=5.14, kernel<5", "nothing is both"),
        ("driver<535, driver>=550.54", "nothing is both"),
        ("driver=535, driver=550", "nothing is both"),
        ("gpu.count>=8, gpu.count<=4", "nothing is both"),
        ("gpu.memory>=80G, gpu.memory<40G", "nothing is both"),
        ("gpu.arch>=9.0, gpu.arch<9", "nothing is both"),
        ("glibc>2.34, glibc<=2.34", "nothing is both"),
    ],
)
def test_what_no_node_holds_is_said(text: str, says: str) -> None:
    assert any(says in one for one in doubts(parse(text))), doubts(parse(text))
    done = CliRunner().invoke(require, [text])
    assert done.exit_code == 0
    assert says in " ".join(done.output.split())
    assert any(says in note for note in part(f"--require={text}", "--gpus-per-node=1").notes)


@pytest.mark.parametrize(
    "text",
    [
        "gpu=a100, gpu=80gb",
        "gpu=a100-sxm4-80gb",
        "gpu=a100_3g.20gb",
        "gpu=1g.5gb",
        "gpu=rtx4090",
        "gpu=rtx6000ada",
        'gpu="RTX PRO 6000 Blackwell Server Edition"',
        "gpu=h100nvl",
        'gpu="NVIDIA H100 80GB HBM3"',
        "gpu=tesla",
        "gpu=a100x",
        "gpu=grid",
        "gpu=drive",
        'gpu="NVIDIA A30X"',
        'gpu="GRID A100X-20C"',
        'gpu="Tesla V100-DGXS-32GB"',
        'gpu="Tesla K20Xm"',
        'gpu="NVIDIA CMP 170HX"',
        "gpu=t4g",
        "gpu=foo|gpu=h100",
        "gpu!=hopper",
        "os=rhel|os=ubuntu",
        "os=rocky, rhel>=9",
        "rocky>=9, rhel>=9.2",
        "os=leap, sles>=15",
        "os.like=suse",
        "cuda>=12.4, cuda<13",
        "cuda>=13, cuda<12.9",  # a program of 13 on a driver below 12.9: by a forward-compatibility package
        "toolkit=11.8, toolkit=12.4",
        "python>=3.11, python<3",
        "kernel>=5.14, kernel<6",
        "driver>=550, driver<=550",
        "driver>550, driver<551",
        "driver>=535.104, driver=535",
        "gpu.count>=4, gpu.count<=4",
        "glibc>=2.34, glibc<2.35",
    ],
)
def test_what_a_node_may_hold_is_not(text: str) -> None:
    assert doubts(parse(text)) == []


def test_no_product_of_the_catalog_is_doubted() -> None:
    asked = [f'gpu="{row["model"]}"' for row in SHIPPED.rows("products")]
    assert len(asked) > 100
    assert [one for one in asked if doubts(parse(one))] == []
