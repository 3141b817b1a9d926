"""What can never hold is refused while the user looks, and a hint is right or none."""

from __future__ import annotations

import pytest

from preflight.facts.view import View
from preflight.requirements import names
from preflight.requirements.evaluate import evaluate
from preflight.requirements.grammar import RequirementError, parse


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("gpu.arch>=90", "write 9.0"),
        ("gpu.arch>=120", "write 12.0"),
        ("gpu.arch=sm_86", "write 8.6"),
        ("container=nonesuch", "none that is looked for"),
        ("mount=scratch", "from the root"),
        ("gpu=h100 x", "is missing before x"),
    ],
)
def test_what_can_never_hold_is_refused(text: str, said: str) -> None:
    with pytest.raises(RequirementError, match=said):
        parse(text)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("vram", "gpu.memory"), ("gpus", "gpu.count"), ("mem", "memory"), ("ram", "memory"), ("cpu", "cpus"),
        ("cores", "cpus"), ("nvidia", "driver"), ("cuda_version", "cuda"), ("ubunut", "ubuntu"), ("cuad", "cuda"),
        ("drivr", "driver"), ("rocm", None), ("pytorch", None), ("conda", None), ("mpi", None), ("torch", None),
    ],
)  # fmt: skip
def test_a_hint_is_right_or_none(name: str, hint: str | None) -> None:
    assert names.nearest(name) == hint


@pytest.mark.parametrize(
    ("asked", "name", "status"),
    [
        ("rtx4090", "NVIDIA GeForce RTX 4090", "pass"),
        ("gtx1080ti", "NVIDIA GeForce GTX 1080 Ti", "pass"),
        ("titanv", "NVIDIA TITAN V", "pass"),
        ("a100-80gb", "NVIDIA A100-SXM4-80GB", "pass"),
        ("a100-80gb", "NVIDIA A100-SXM4-40GB", "fail"),
        ("rtx4090", "NVIDIA GeForce RTX 4080", "fail"),
        ("rtx 6000", "NVIDIA RTX PRO 6000 Blackwell Server Edition", "fail"),
    ],
)
def test_gpu_names_as_people_write_them(asked: str, name: str, status: str) -> None:
    view = View({"gpus": {"devices": [{"index": 0, "name": name}]}}, {})
    assert evaluate(parse(f"gpu={asked}"), view)[0].status == status
