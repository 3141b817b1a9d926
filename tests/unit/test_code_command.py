"""`preflight code`: the page within 80 columns, the JSON, the exit code, mistakes in one line."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from preflight.artifacts.gpu_code.survey import survey
from preflight.cli import code_nodes
from preflight.cli.code import code
from preflight.cli.code_answer import answers
from preflight.cli.code_nodes import questions
from preflight.report.clean import width
from unit import gpu_code_samples as make
from unit.gpu_code_samples import container, cubin, image, library, ptx
from unit.plan_samples import A100, CPU, H100, V100, node, view

UNIT = container(image(53), image(60), image(70), image(80), ptx(86, (8, 7)))
MANY = library([UNIT] * 3, needed=["libcudart.so.12"], versions=["GLIBC_2.28", "GLIBCXX_3.4.26", "CXXABI_1.3.9"])
ONE = library([container(image(90)), container(image(80))], needed=["libcudart.so.12"])


@pytest.fixture
def place(tmp_path: Path) -> Path:
    make.install(tmp_path / "site-packages", "kernels", "1.0", {"kernels/a_library_of_a_long_name.so.1": MANY})
    make.install(tmp_path / "site-packages", "in_part", "2", {"in_part/b.so": ONE})
    return tmp_path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(code, [str(one) for one in arguments])


def answer(place: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    result = run(place, "--json", *arguments)
    return result.exit_code, json.loads(result.stdout)["places"][0]


def test_the_page_says_it_by_package(place: Path) -> None:
    result = run(place)
    assert result.exit_code == 0
    assert max(map(width, result.stdout.splitlines())) <= 80
    for text in (
        "kernels 1.0 (1 library with GPU code, CUDA 12)",
        "runs on Maxwell 5.3, Pascal 6.0 6.1, Volta 7.0, Turing 7.5, Ampere 8.0 8.6, Ada 8.9",
        "by PTX on Hopper 9.0, Blackwell 10.0",
        "with a driver of CUDA 12.8 or newer",
        "in part on Ampere 8.0 8.6, Ada 8.9, Hopper 9.0: 1 of 2 containers",
        "machine x86_64",
        "glibc 2.28 or newer",
        "GLIBCXX_3.4.26",
    ):
        assert text in " ".join(result.stdout.split())


def test_a_gpu_and_a_driver_are_asked_for(place: Path) -> None:
    result = run(place, "--gpu", "h100", "--driver", "550.54")
    assert result.exit_code == 3
    assert "H100 (9.0), driver 550.54 (CUDA 12.4): no" in result.stdout
    assert "0 of 3 containers: PTX 8.7 needs a driver of CUDA 12.8" in result.stdout
    assert "1 of 2 containers: has sm_80" in result.stdout
    library_alone = place / "site-packages/kernels"
    assert run(library_alone, "--gpu", "h100", "--driver", "595.58.03").exit_code == 0
    assert run(library_alone, "--gpu", "9.0").exit_code == 0
    assert "by PTX: needs a driver of CUDA 12.8 or newer" in " ".join(
        run(library_alone, "--gpu", "sm_90").stdout.split()
    )
    assert run(library_alone, "--gpu", "a100", "--gpu", "h100", "--driver", "550.54").exit_code == 3


def test_a_superchip_has_an_arm_host(tmp_path: Path) -> None:
    unit = [container(image(90))]
    (tmp_path / "a.so").write_bytes(library(unit))
    assert run(tmp_path, "--gpu", "h200").exit_code == 0
    result = run(tmp_path, "--gpu", "gh200")
    assert result.exit_code == 3
    assert "its programs are for x86_64, and hosts of GH200 120GB / 480GB are aarch64" in " ".join(
        result.stdout.split()
    )
    assert answer(tmp_path, "--gpu", "gh200")[1]["asked"][0]["answer"] == "no"
    (tmp_path / "a.so").write_bytes(library(unit, machine=make.AARCH64))
    assert run(tmp_path, "--gpu", "gh200").exit_code == 0


def test_the_json(place: Path) -> None:
    code_, found = answer(place, "--gpu", "h100")
    assert code_ == 3
    assert list(found) == ["path", "kind", "files", "asked", "packages", "system", "linkable", "notes"]
    asked = found["asked"][0]
    assert (asked["gpu"], asked["capability"], asked["driver"], asked["answer"]) == ("H100", "9.0", None, "no")
    by_name = {one["name"]: one for one in asked["packages"]}
    assert by_name["kernels"]["needs_driver_cuda"] == "12.8"
    assert (by_name["in-part"]["runs"], by_name["in-part"]["of"]) == (1, 2)
    package = next(one for one in found["packages"] if one["name"] == "kernels")
    assert package["gpus"]["8.9"]["answer"] == "yes"
    groups = package["libraries"][0]["containers"]
    assert [(one["count"], one["role"], one["record"]) for one in groups] == [(1, "ignored", 2), (3, "loaded", 1)]
    assert groups[1]["images"][-1] == {
        "kind": "ptx",
        "target": "compute_86",
        "isa": "8.7",
        "flags": 8209,
        "doubt": None,
    }
    assert found["system"]["glibc"]["version"] == "2.28"


def test_without_gpu_code(tmp_path: Path) -> None:
    (tmp_path / "a.so").write_bytes(library(linked=None))
    result = run(tmp_path)
    assert result.exit_code == 0
    assert "No GPU code in it." in result.stdout
    assert run(tmp_path, "--gpu", "h100").exit_code == 3
    assert answer(tmp_path, "--gpu", "h100")[1]["asked"][0]["answer"] == "none"


def test_a_package_without_a_kernel_is_no_no(tmp_path: Path) -> None:
    (tmp_path / "a.so").write_bytes(library())
    result = run(tmp_path / "a.so", "--gpu", "t4")
    assert result.exit_code == 3
    assert "T4 (7.5): it has no GPU code" in " ".join(result.stdout.split())
    assert "no kernel for NVIDIA's GPUs" in result.stdout


def test_the_page_names_what_decides_nothing_and_what_was_not_read(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p/amd1.so").write_bytes(make.elf([make.Section(".hip_fatbin", bytes(64))]))
    (tmp_path / "p/amd2.so").write_bytes(make.elf([make.Section(".hip_fatbin", bytes(64))]))
    for name in ("a.o", "b.o"):
        (tmp_path / name).write_bytes(make.obj([container(image(90))]))
    for number in range(25):
        (tmp_path / f"broken{number}.so").write_bytes(MANY[:100])
    result = run(tmp_path, "--gpu", "h100")
    assert result.exit_code == 3
    assert max(map(width, result.stdout.splitlines())) <= 80
    shown = " ".join(result.stdout.split())
    for text in (
        "H100 (9.0): no", "p AMD's code alone", "for AMD p/amd1.so and 1 more", "no kernel for NVIDIA's GPUs",
        "For a linker a.o and 1 more", "Not read, so that nothing is sure of it: broken0.so",
        "and 5 more (--json has all)",
    ):  # fmt: skip
        assert text in shown


def test_what_was_not_read_makes_nothing_sure(tmp_path: Path) -> None:
    (tmp_path / "a.so").write_bytes(library([container(image(90))]))
    (tmp_path / "b\x1b[2J.so").write_bytes(MANY[:100])
    result = run(tmp_path, "--gpu", "h100")
    assert result.exit_code == 3
    assert "H100 (9.0): not known" in result.stdout
    assert "\x1b" not in result.stdout


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--gpu", "nonsense"], "nonsense"),
        (["--gpu", "rtx"], "several GPUs"),
        (["--gpu", ""], "names no GPU"),
        (["--driver", "new"], "no version"),
        (["none"], "No such file"),
    ],
)
def test_mistakes_take_one_line(place: Path, arguments: list[str], word: str) -> None:
    result = run(place, *arguments)
    assert result.exit_code == 1  # of Click alone; the command line makes 2 of it
    assert word in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_the_clusters_nodes_are_questions(tmp_path: Path) -> None:
    old = view("rhel 8.10", "550.54.15", "12.4", "NVIDIA A100-SXM4-80GB", "8.0")
    old.facts["libc"] = {"glibc": "2.28"}
    arm = view("ubuntu 22.04", "550.54.15", "12.4", "NVIDIA A100-SXM4-80GB", "8.0")
    arm.facts["arch"] = {"machine": "aarch64"}
    kinds = (("h", H100), ("a", A100), ("v", V100), ("old", old), ("arm", arm), ("cpu", CPU), ("silent", None))
    nodes = [node(f"{name}{at}", facts) for name, facts in kinds for at in (1, 2)]
    asked, notes = questions(nodes, True)
    assert notes == ["which GPUs silent[1-2] has is not published"]
    (tmp_path / "app").write_bytes(library([container(image(80))], versions=["GLIBC_2.34"], needed=["libcudart.so.12"]))
    found = {one.question.name: one for one in answers(survey(str(tmp_path / "app")), asked)}
    assert {name: one.answer for name, one in found.items()} == {
        "h[1-2]": "no", "a[1-2]": "yes", "v[1-2]": "no", "old[1-2]": "no", "arm[1-2]": "no",
    }  # fmt: skip
    assert found["old[1-2]"].why == "app asks GLIBC_2.34, and old[1-2] has 2.28"
    assert "aarch64" in found["arm[1-2]"].why
    (tmp_path / "place").mkdir()
    (tmp_path / "app").rename(tmp_path / "place/lib.so")
    found = {one.question.name: one for one in answers(survey(str(tmp_path / "place")), asked)}
    assert [found[name].answer for name in ("a[1-2]", "old[1-2]", "v[1-2]")] == ["yes", "unknown", "no"]


def test_what_nodes_have_not_published_is_no_yes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A node that tells its GPUs alone; a place that asks no GLIBC and is for no host loses nothing by it."""
    bare = view("rocky 9.4", None, None, "NVIDIA A100-SXM4-80GB", "8.0")
    for name in ("driver", "libc", "arch"):
        del bare.facts[name]
    half = view("rocky 9.4", "580.65.06", "13.0", "NVIDIA A100-SXM4-80GB", "8.0")
    del half.facts["libc"]
    nodes = [node("bare1", bare), node("half1", half), node("a1", A100)]
    asked, notes = questions(nodes, True)
    assert notes == []
    app, cubins = tmp_path / "app", tmp_path / "x.cubin"
    app.write_bytes(library([container(image(80))], versions=["GLIBC_2.34"], needed=["libcudart.so.12"]))
    cubins.write_bytes(cubin(80))
    found = {one.question.name: (one.answer, one.why) for one in answers(survey(str(app)), asked)}
    assert found == {
        "bare1": ("unknown", "not published: driver, machine, GLIBC of bare1"),
        "half1": ("unknown", "not published: GLIBC of half1"),
        "a1": ("yes", ""),
    }
    alone = {one.question.name: one.answer for one in answers(survey(str(cubins)), asked)}
    assert alone == {"bare1": "unknown", "half1": "yes", "a1": "yes"}
    app.write_bytes(library([container(image(90))]))
    assert {one.answer for one in answers(survey(str(app)), asked)} == {"no"}

    app.write_bytes(library([container(image(80))], needed=["libcudart.so.12"]))
    for extra, status in ((None, 3), (A100, 0)):  # a node whose GPUs are not published
        given = questions([node("a1", A100), node("b1", extra)], True)
        monkeypatch.setattr(code_nodes, "read", lambda _policy, given=given: given)
        result = run(app, "--nodes", "--json")
        assert result.exit_code == status
        assert json.loads(result.stdout)["notes"] == ([] if extra else ["which GPUs b1 has is not published"])
