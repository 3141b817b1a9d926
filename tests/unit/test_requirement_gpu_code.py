"""`gpu.code`: which GPUs run what code was compiled for, verified and placed, by the rules of docs/gpu-code.md."""

from __future__ import annotations

from typing import Any

import pytest

from preflight.artifacts.gpu_code.model import CUBIN, PTX, Part
from preflight.artifacts.gpu_code.runs import gpu, part_runs
from preflight.catalog import targets
from preflight.catalog.tables import Tables
from preflight.facts.view import View
from preflight.requirements.compile import to_constraint, to_extra
from preflight.requirements.decode import view_of
from preflight.requirements.encode import extra_of, features_of
from preflight.requirements.evaluate import evaluate
from preflight.requirements.gpu_code import Targets
from preflight.requirements.grammar import RequirementError, parse
from preflight.requirements.words import explain
from slurm_grammar import extra_holds, features_hold


def node(*capabilities: str, **more: Any) -> View:
    devices = [{"index": at, "name": "GPU", "compute_capability": one} for at, one in enumerate(capabilities)]
    return View({"gpus": {"count": len(devices), "devices": devices}}, {}, **more)


def status(view: View, text: str, tables: Tables | None = None) -> str:
    found = evaluate(parse(text), view, **({"tables": tables} if tables else {}))
    return found[0].status


# Sources: CUDA C++ Programming Guide, "Binary Compatibility", "PTX Compatibility", "Family-Specific Compatibility";
# CUDA for Tegra (binaries of it and of other GPUs); Blackwell Compatibility Guide (sm_101 became sm_110).
ANSWERS = [
    ("sm_80", {"8.0": "pass", "8.6": "pass", "8.9": "pass", "9.0": "fail", "7.5": "fail", "12.0": "fail"}),
    ("sm_86", {"8.0": "fail", "8.6": "pass", "8.9": "pass"}),
    ("sm_80", {"8.7": "unknown"}),
    ("sm_87", {"8.7": "pass", "8.9": "unknown", "8.6": "fail", "9.0": "fail"}),
    ("sm_90a", {"9.0": "pass", "10.0": "fail", "8.9": "fail"}),
    ("sm_100", {"10.0": "pass", "10.3": "pass", "12.0": "fail", "11.0": "fail"}),
    ("sm_100a", {"10.0": "pass", "10.3": "fail"}),
    ("sm_100f", {"10.0": "pass", "10.3": "pass", "10.7": "unknown", "12.0": "fail", "9.0": "fail"}),
    ("sm_103f", {"10.3": "pass", "10.0": "fail"}),
    ("sm_120f", {"12.0": "pass", "12.1": "pass", "10.0": "fail"}),
    ("compute_80", {"8.0": "pass", "9.0": "pass", "12.1": "pass", "7.5": "fail", "8.7": "pass"}),
    ("compute_90a", {"9.0": "pass", "10.0": "fail"}),
    ("compute_100f", {"10.0": "pass", "10.3": "pass", "12.0": "fail"}),
    ("sm_101", {"11.0": "unknown", "10.3": "unknown", "10.0": "fail"}),
    ("sm_101a", {"11.0": "unknown", "10.3": "fail"}),
    ("sm_101f", {"11.0": "unknown", "10.0": "fail", "12.0": "fail"}),
    ("compute_101", {"11.0": "unknown", "12.0": "unknown", "10.0": "fail"}),
    ("compute_101a", {"11.0": "unknown", "12.0": "fail"}),
    ("sm_80+sm_90+compute_90", {"8.6": "pass", "9.0": "pass", "12.0": "pass", "7.5": "fail", "7.0": "fail"}),
    ("sm_95", {"9.0": "unknown", "8.0": "unknown"}),
    ("sm_80", {"14.0": "unknown", "8": "unknown", "8.0.0": "unknown", "junk": "unknown"}),
    ("compute_50", {"14.0": "unknown", "10.1": "unknown"}),
]
ROWS = [(asked, have, answer) for asked, answers in ANSWERS for have, answer in answers.items()]


@pytest.mark.parametrize(("asked", "have", "answer"), ROWS)
def test_by_compute_capability(asked: str, have: str, answer: str) -> None:
    opposite = {"pass": "fail", "fail": "pass", "unknown": "unknown"}[answer]
    for text, wanted in (
        (f"gpu.code={asked}", answer),
        (f"gpu.code!={asked}", opposite),
        (f"!gpu.code={asked}", opposite),
    ):
        assert status(node(have, have), text) == wanted
        published = extra_of(node(have, have))
        assert status(view_of(published), text) == wanted
        compiled = to_extra(parse(text))
        if compiled.text:
            assert extra_holds(compiled.text, published) == (wanted == "pass")
        features = features_of(node(have, have))
        named = to_constraint(parse(text), [*features, "gpu_count_2"])
        assert features_hold(named.text, features) == (wanted == "pass") if named.text else named.not_placeable


def test_every_gpu_of_the_job_must_run_one_of_them() -> None:
    mixed = node("8.0", "9.0")
    assert status(mixed, "gpu.code=sm_80+sm_90") == "pass"
    assert status(mixed, "gpu.code=sm_80|gpu.code=sm_90") == "fail"
    assert status(mixed._replace(gpus=(1,)), "gpu.code=sm_90") == "pass"
    lost = View({"gpus": {"devices": [{"index": 0, "compute_capability": "9.0"}, {"index": 1, "error": "lost"}]}}, {})
    assert [status(lost, f"gpu.code={one}") for one in ("sm_90", "sm_80")] == ["unknown", "fail"]
    assert [status(node(), text) for text in ("gpu.code=sm_90", "!gpu.code=sm_90")] == ["fail", "pass"]
    assert extra_holds(to_extra(parse("!gpu.code=sm_90")).text, extra_of(node()))


def test_the_answer_is_that_of_preflight_code() -> None:
    for sm in targets.capabilities():
        for arch in targets.capabilities():
            for suffix in ("", "a", "f"):
                on = gpu(f"{sm // 10}.{sm % 10}")
                for kind, name in ((CUBIN, "sm"), (PTX, "compute")):
                    part = Part(kind, arch, suffix, isa=(7, 0) if kind == PTX else None)
                    asked = Targets().parse(f"{name}_{arch}{suffix}")
                    told = {True: "yes", False: "no", None: "unknown"}[Targets().compare("=", asked, f"{sm / 10}")]
                    assert part_runs(part, on).answer == told, (part.target, sm)


def test_a_sites_own_architecture_counts() -> None:
    site = Tables({"architectures": [{"capability": "14.0", "arch": "new", "source": ["site"]}]})
    assert status(node("14.0"), "gpu.code=sm_140", site) == "pass"
    assert status(node("14.0"), "gpu.code=sm_140") == "unknown"


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("gpu.code=9.0", "write sm_90"),
        ("gpu.code=90a", "sm_90a"),
        ("gpu.code=sm90", "sm_90"),
        ("gpu.code=compute90", "compute_90"),
        ("gpu.code=lto_90", "is no target"),
        ("gpu.code=sm_9", "is no target"),
        ("gpu.code=sm_080", "is no target"),
        ("gpu.code=sm_90b", "is no target"),
        ("gpu.code=sm_80+h100", 'has "h100"'),
        ("gpu.code=sm_80+", 'has ""'),
        ("gpu.code=" + "+".join(["sm_80"] * 65), "more than 64"),
        ("gpu.code>=sm_80", "= !="),
        ("gpu.code", "needs an operator"),
        ("gpu.target=sm_80", "gpu.code"),
    ],
)
def test_what_is_no_target_is_refused_with_the_one_that_is_meant(text: str, hint: str) -> None:
    with pytest.raises(RequirementError, match=hint.replace("+", r"\+")):
        parse(text)


def test_it_is_told_in_words() -> None:
    assert explain(parse("GPU.code=sm_90".lower()))[0] == "gpu.code=sm_90: every GPU runs code for sm_90"
    found = evaluate(parse("gpu.code=sm_70"), node("9.0", "9.0")._replace(gpus=(0, 1)))[0]
    assert found.message == "needs gpu.code=sm_70; the job has 2 GPUs with compute capability 9.0"
    assert "preflight code" in (found.remedy or "")
    assert to_extra(parse("gpu.code=sm_95")).not_placeable[0][1] == "no GPU is known to run it"
