"""Clauses on MIG devices: a job's own by size, profile and number; a node's layout; published and read back."""

from __future__ import annotations

from typing import Any

import pytest

from preflight.facts.view import View
from preflight.requirements.decode import view_of
from preflight.requirements.encode import extra_of, features_of, is_ours
from preflight.requirements.evaluate import evaluate
from preflight.requirements.extra import to_extra
from preflight.requirements.features import to_constraint
from preflight.requirements.grammar import RequirementError, parse
from preflight.requirements.kinds_of_names import is_profile, with_profile
from preflight.requirements.words import explain
from slurm_grammar import extra_holds, features_hold

A100 = "NVIDIA A100-SXM4-40GB"


def device(index: int, profile: str | None, memory: int | None = 20_937_965_568) -> dict[str, Any]:
    return {"index": index, "profile": profile, "memory": memory, "uuid": f"MIG-{index}", "gi": index, "ci": 0}


def gpu(index: int, *cut: dict[str, Any], **more: Any) -> dict[str, Any]:
    values = {"name": A100, "memory": 42_949_672_960, "compute_capability": "8.0", "ecc": True, "nvlink": 12}
    on = {"mig": bool(cut), **({"mig_devices": list(cut)} if cut else {})}
    return {"index": index, **values, **on, **more}


def node(*gpus: dict[str, Any], **more: Any) -> View:
    return View({"gpus": {"count": len(gpus), "devices": list(gpus)}}, {}, **more)


CUT = gpu(1, device(0, "3g.20gb"), device(2, "1g.5gb+me", 5_100_273_664), device(3, "1g.5gb", 5_100_273_664))
MIXED = node(gpu(0), CUT)
SEVEN = node(gpu(0, *(device(at, "1g.5gb", 5_100_273_664) for at in range(7))))


def status(spec: str, view: View) -> str:
    return evaluate(parse(spec), view)[0].status


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        ("gpu.memory>=20G", "pass"),
        ("gpu.memory>=40G", "fail"),
        ("gpu.memory<21G", "pass"),
        ("gpu=3g.20gb", "pass"),
        ("gpu=a100_3g.20gb", "pass"),  # as Slurm names the type
        ("gpu=A100-SXM4-40GB_3g.20gb", "pass"),
        ("gpu=a100_3g.19gb", "pass"),  # as 22.05 does, which rounds the memory down
        ("gpu=a100_3g.18gb", "fail"),
        ("gpu=a100_3g.21gb", "fail"),
        ("gpu=a100_2g.19gb", "fail"),
        ("gpu=h100_3g.19gb", "fail"),
        ("gpu=3g.19gb", "fail"),  # without the GPU's name it may be another GPU's own
        ("gpu!=a100_3g.19gb", "fail"),
        ('gpu="NVIDIA A100-SXM4-40GB MIG 3g.20gb"', "pass"),  # as NVML names the device
        ("gpu=a100", "pass"),
        ("gpu=a10", "fail"),
        ("gpu=h100_3g.20gb", "fail"),
        ("gpu=1g.5gb", "fail"),
        ("gpu=3g", "fail"),
        ("gpu!=3g.20gb", "fail"),
        ("mig", "pass"),
        ("!mig", "fail"),
        ("nvlink", "fail"),
        ("!nvlink", "pass"),
        ("ecc", "pass"),
        ("gpu.arch>=8.0", "pass"),
        ("gpu.count=1", "pass"),
        ("gpu.count>=2", "fail"),
        ("mig.count=1", "pass"),
        ("mig.profile=3g.20gb", "pass"),
        ("mig.profile=3g.20gb:2", "fail"),
        ("mig.profile!=1g.5gb", "pass"),
    ],
)
def test_a_jobs_mig_device_is_judged_by_itself(spec: str, found: str) -> None:
    assert status(spec, MIXED._replace(gpus=(), slices=((1, 0),))) == found


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        ("gpu=1g.5gb", "fail"),  # one of the two is 1g.5gb+me
        ("gpu=a100", "pass"),
        ("gpu.count=2", "pass"),
        ("mig.profile=1g.5gb+me:1, mig.profile=1g.5gb:1", "pass"),
        ("mig.profile>=1g.5gb:2", "fail"),
        ("gpu.memory>=6G", "fail"),
    ],
)
def test_all_of_several_must_hold(spec: str, found: str) -> None:
    view = MIXED._replace(gpus=(), slices=((1, 1), (1, 2)))
    assert {one.status for one in evaluate(parse(spec), view)} == {found}


def test_a_message_says_whose_and_what() -> None:
    answer = evaluate(parse("gpu.memory>=40G"), MIXED._replace(gpus=(), slices=((1, 0),)))[0]
    assert answer.message == "needs gpu.memory>=40G; the job has 1 GPU with memory 20.9G"
    answer = evaluate(parse("mig.profile=3g.20gb:2"), MIXED._replace(gpus=(), slices=((1, 0),)))[0]
    assert answer.message == "needs mig.profile=3g.20gb:2; the job has MIG devices 3g.20gb:1"


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        ("mig.profile=3g.20gb:1", "pass"),
        ("mig.profile=3G.20GB:1", "pass"),
        ("mig.profile=1g.5gb:1", "pass"),
        ("mig.profile=1g.5gb:2", "fail"),
        ("mig.profile=7g.40gb", "fail"),
        ("mig.profile=7g.40gb:0", "pass"),
        ("mig.profile<3g.20gb:2", "pass"),
        ("mig.count=3", "pass"),
        ("mig.count", "pass"),
        ("gpu.count=2", "pass"),  # GPUs, whole or cut
        ("gpu.memory>=40G", "pass"),
        ("mig", "fail"),
        ("gpu=3g.20gb", "pass"),
        ("gpu=a100_3g.20gb", "pass"),
        ("gpu=h100_3g.20gb", "fail"),
        ("gpu=7g.40gb", "fail"),
        ("gpu!=7g.40gb", "pass"),
    ],
)
def test_a_nodes_layout(spec: str, found: str) -> None:
    assert status(spec, MIXED) == found


@pytest.mark.parametrize(
    ("spec", "view", "found"),
    [
        ("mig.count=0", node(), "pass"),
        ("mig.profile=1g.5gb", node(), "fail"),
        ("mig.profile=1g.5gb", node(gpu(0)), "fail"),
        ("mig.count=0", node(gpu(0, mig=None)), "pass"),
        ("mig.profile=3g.20gb:1", node(gpu(0), gpu(1, mig=True)), "unknown"),  # on, and no list
        ("mig.profile=3g.20gb:1", node(CUT, {"index": 1, "error": "Timeout"}), "unknown"),
        ("mig.profile>=3g.20gb:1", node(CUT, {"index": 1, "error": "Timeout"}), "pass"),  # whatever the other has
        ("mig.profile=3g.20gb:0", node(CUT, {"index": 1, "error": "Timeout"}), "fail"),
        ("mig.profile=1g.5gb:1", node(gpu(0, device(0, None), device(1, "1g.5gb"))), "unknown"),
        ("mig.profile=1g.5gb:3", node(gpu(0, device(0, None), device(1, "1g.5gb"))), "fail"),
        ("mig.count=2", node(gpu(0, device(0, None), device(1, "1g.5gb"))), "pass"),
        ("mig.count=1", node(gpu(0, mig=True, errors={"mig_devices": "FunctionNotFound"})), "unknown"),
        ("gpu.memory>=1G", node(gpu(0, device(0, "3g.20gb", None)), gpus=(), slices=((0, 0),)), "unknown"),
        ("gpu=3g.20gb", node(gpu(0, mig=True), gpus=(), slices=((0, 3),)), "unknown"),
        ("mig.count>=1", node(gpus=()), "fail"),
    ],
)
def test_what_is_not_told_is_unknown_where_it_matters(spec: str, view: View, found: str) -> None:
    assert status(spec, view) == found


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("mig.profile=big", "is not a MIG profile"),
        ("mig.profile=1g.5gb:many", "not a whole number"),
        ("mig.profile>=1g.5gb", "needs a number of devices, such as 1g.5gb:2"),
        ("mig.profile", "needs an operator"),
        ("mig.profile=3g.40gb+", "is not a MIG profile"),
    ],
)
def test_a_mistake_says_what_is_expected(spec: str, says: str) -> None:
    with pytest.raises(RequirementError, match=says):
        parse(spec)


def test_plain_words() -> None:
    spec = "mig.profile=1g.5gb:7, mig.profile=3g.20gb, mig.profile!=7g.40gb, mig.profile>=1g.5gb:2, mig.count"
    assert [line.partition(": ")[2] for line in explain(parse(spec))] == [
        "the number of MIG devices of profile 1g.5gb is 7",
        "a MIG device has profile 3g.20gb",
        "no MIG device has profile 7g.40gb",
        "the number of MIG devices of profile 1g.5gb is 2 or more",
        "the number of MIG devices is 1 or more",
    ]


def test_what_a_node_publishes() -> None:
    extra = extra_of(MIXED)
    assert {key: value for key, value in extra.items() if key.startswith("mig")} == {
        "mig": 0,
        "mig_count": 3,
        "mig_1g.5gb": 1,
        "mig_1g.5gb_memory": 4864,
        "mig_1g.5gb%2bme": 1,
        "mig_1g.5gb%2bme_memory": 4864,
        "mig_3g.20gb": 1,
        "mig_3g.20gb_memory": 19968,
    }
    assert all(is_ours(key) for key in extra)
    assert not is_ours("mig_site")
    assert [one for one in features_of(SEVEN) if "mig" in one] == ["gpu_mig_1g.5gb_7", "gpu_mig_count_7"]
    assert extra_of(node(gpu(0)))["mig_count"] == 0
    assert "mig_count" not in extra_of(node(gpu(0, mig=True)))


@pytest.mark.parametrize(
    ("spec", "extra", "constraint"),
    [
        ("mig.profile>=1g.5gb:2", "mig_1g.5gb>=2", "gpu_mig_1g.5gb_7"),
        ("mig.profile>1g.5gb:7", "mig_1g.5gb>=8", ""),
        ("mig.profile=1g.5gb", "mig_1g.5gb>=1", "gpu_mig_1g.5gb_7"),
        ("gpu=1g.5gb", "mig_1g.5gb>=1", "gpu_mig_1g.5gb_7"),
        ("gpu=a100_1g.5gb", "gpu_name_a100=1&mig_1g.5gb>=1", None),
        ("mig.count>=7", "mig_count>=7", "gpu_mig_count_7"),
        ("mig.profile=1g.5gb:7", None, None),
        ("!mig.profile=1g.5gb", None, None),
    ],
)
def test_what_slurm_is_asked(spec: str, extra: str | None, constraint: str | None) -> None:
    compiled = to_extra(parse(spec))
    assert (compiled.text or None) == extra
    known = features_of(SEVEN)
    by_features = to_constraint(parse(spec), known)
    assert bool(by_features.not_placeable) is (constraint is None)
    if constraint is not None:
        assert features_hold(by_features.text, known) is bool(constraint)
        assert by_features.text == (constraint or "no_node_has_mig.profile")
    if extra:
        assert extra_holds(extra, extra_of(SEVEN)) is (status(spec, SEVEN) == "pass")


def test_a_job_gets_a_published_device_by_its_own_size() -> None:
    decoded = view_of(extra_of(MIXED))
    places = {one["profile"]: at for at, one in enumerate(decoded.facts["gpus"]["devices"][0]["mig_devices"])}
    mine = decoded._replace(gpus=(), slices=((0, places["3g.20gb"]),))
    words = ("gpu=a100_3g.20gb", "gpu=a100_3g.19gb")
    for spec in ("gpu.memory>=20G", "gpu.memory<21G", "mig", *words, "gpu.count=1", "!nvlink"):
        assert status(spec, mine) == "pass", spec
    assert status("gpu.memory>=40G", mine) == "fail"


@pytest.mark.parametrize(
    "extra",
    [
        {"gpu_count": 1, "mig_count": 1, "mig_1g.5gb": 9},
        {"gpu_count": 1, "mig_count": 10**15, "mig_1g.5gb": 10**15},
        {"gpu_count": 1, "mig_count": "3", "mig_1g.5gb": True},
        {"gpu_count": 1, "mig_1g.5gb": -5},
        {"gpu_count": 1, "mig_count": 2, "mig_1g.5gb": float("inf")},
    ],
)
def test_what_contradicts_itself_is_not_told(extra: dict[str, Any]) -> None:
    assert status("mig.profile>=1g.5gb:1", view_of(extra)) == "unknown"


@pytest.mark.parametrize(
    ("word", "whether"),
    [
        *((one, True) for one in ("1g.5gb", "3g.40gb", "1c.3g.40gb", "1g.10gb+me", "1g.24gb-me", "1g.24gb+me.all")),
        *((one, False) for one in ("", "80gb", "a100", "1g", "g.gb", "1g.5", "1x.3g.4gb", "1g.5gb+", "1c.1c.1g.5gb")),
    ],
)
def test_which_words_are_profiles(word: str, whether: bool) -> None:
    assert is_profile(word) is whether


def test_a_type_as_slurm_names_it_holds_a_name_and_a_profile() -> None:
    assert with_profile("a100 3g.40gb") == ("a100", "3g.40gb")
    assert with_profile("nvidia a100 mig 1g.24gb~me") == ("nvidia a100", "1g.24gb-me")
    assert with_profile("3g.40gb a100") == ("3g.40gb a100", "")
