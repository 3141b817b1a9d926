"""What can never hold is refused while the user looks, and a hint is right or none."""

from __future__ import annotations

import pytest

from preflight.catalog.tables import SHIPPED
from preflight.facts.view import View
from preflight.requirements import hints, names
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
        ("gpu=h100 nvlink", "is missing before nvlink"),
        ("gpu=h100 !mig", "is missing before !mig"),
        ("gpu=h100 NVLink | gpu=h200", "is missing before NVLink"),
        ("gpu=h100 80gb cuda, ecc", "is missing before cuda"),
        ("container=enroot ib", "is missing before ib"),
    ],
)
def test_what_can_never_hold_is_refused(text: str, said: str) -> None:
    with pytest.raises(RequirementError, match=said):
        parse(text)


@pytest.mark.parametrize(
    "text",
    ["gpu=A100-SXM4-40GB MIG 3g.20gb", 'gpu="h100 nvlink"', "mount=/data/group memory", "gpu=nvidia h100 80gb hbm3"],
)
def test_a_value_of_several_words_stands(text: str) -> None:
    assert parse(text).clauses[0].predicates[0].op == "="


def test_no_gpu_of_the_catalog_has_a_requirements_name_in_its_name() -> None:
    for row in SHIPPED.rows("products"):
        assert hints.forgotten(row["name"].split()) is None, row["name"]


@pytest.mark.parametrize(
    ("text", "clause"),
    [
        ("apptainer", "container=apptainer"), ("Docker", "container=docker"), ("ch-run", "container=ch-run"),
        ("h100", "gpu=h100"), ("H100", "gpu=h100"), ("!a100", "gpu=a100"), ("rtx4090", "gpu=rtx4090"),
        ("gh200", "gpu=gh200"), ("a100-80gb", "gpu=a100-80gb"), ("t4|l4", "gpu=t4"), ("cuda>=12.4, b200", "gpu=b200"),
        ("x86_64", "arch=x86_64"), ("arm64", "arch=arm64"),
        ("python3", None), ("cuda12", None), ("sm_90", None), ("gpu4", None), ("h100>=2", None), ("rtx6000", None),
        ("mi300", None), ("a1000000", None), ("gpu", None), ("ti", None), ("nvidia", None), ("podman=5", None),
    ],
)  # fmt: skip
def test_a_word_that_is_surely_a_value_gets_its_clause(text: str, clause: str | None) -> None:
    with pytest.raises(RequirementError) as caught:
        parse(text)
    if clause is None:
        assert "write " not in caught.value.message
    else:
        assert caught.value.message.endswith(f": write {clause}")
        parse(clause)


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
