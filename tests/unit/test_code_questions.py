"""Questions to `preflight code` with known answers, each with its source: tests/unit/data/code_questions*.toml."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from preflight import toml
from preflight.catalog import targets
from preflight.cli.code import code
from unit import gpu_code_samples as make
from unit.test_requirement_gpu_code import ROWS

DATA = Path(__file__).parent / "data"


def loaded(name: str) -> dict[str, Any]:
    return toml.loads((DATA / name).read_text(encoding="utf-8"))


ASKED, FORMS = loaded("code_questions.toml"), loaded("code_questions_forms.toml")
QUESTIONS = [(one, question) for one in ASKED["code"] for question in one["questions"]]
OF_FORMS = [(one, question) for one in FORMS["code"] for question in one["questions"]]
SUFFIX = {"": make.PLAIN, "a": make.ACCELERATED, "f": make.FAMILY}
MACHINES = {"x86_64": make.X86_64, "aarch64": make.AARCH64, "ppc64le": make.PPC64}


def image(text: str) -> bytes:
    name, _, isa = text.partition("@")
    if name.startswith("lto_"):
        return make.image(int(name[4:]), make.LTO, data=bytes(64))
    target = targets.parse(name)
    assert target
    if target.kind == targets.SM:
        return make.image(target.arch, variant=SUFFIX[target.suffix])
    major, _, minor = isa.partition(".")
    return make.ptx(target.arch, (int(major), int(minor)), SUFFIX[target.suffix])


def library(one: dict[str, Any]) -> bytes:
    def containers(name: str) -> list[bytes]:
        return [make.container(*map(image, unit)) for unit in one.get(name, [])]

    more = {"linked": make.container(*map(image, one["linked"]))} if "linked" in one else {}
    machine = MACHINES[one.get("machine", "x86_64")]
    return make.library(
        containers("units"), inputs=containers("inputs"), needed=one.get("needs", []), machine=machine, **more
    )


def written(one: dict[str, Any], place: Path) -> Path:
    """Write code in the form that it comes as; return its path."""
    form, _, tag = one.get("as", "library").partition(" ")
    place.mkdir()
    if form == "conda":
        meta = {"name": "x", "version": "1", "subdir": tag, "files": ["lib/libx.so"]}
        for name, data in (("conda-meta/x-1-0.json", json.dumps(meta).encode()), ("lib/libx.so", library(one))):
            (place / name).parent.mkdir()
            (place / name).write_bytes(data)
        return place
    if form == "wheel":
        return make.wheel(place / f"x-1-cp311-cp311-{tag}.whl", {"x/libx.so": library(one)})
    units = [make.container(*map(image, unit)) for unit in one.get("units", [])]
    inputs = [make.container(*map(image, unit)) for unit in one.get("inputs", [])]
    data = {
        "library": lambda: library(one),
        "object": lambda: make.obj(units, inputs),
        "fatbin": lambda: b"".join(units),
        "ptx": lambda: make.text(*one["units"][0][0].replace("compute", "sm").split("@")),
        "amd": lambda: make.elf([make.Section(".hip_fatbin", bytes(4096))]),
    }[form]()
    (place / "code").write_bytes(data)
    return place / "code"


def answer(path: Path, question: str) -> tuple[str, Any, int]:
    """Return what is answered to "GPU driver …", the rest of the answer, and the exit code."""
    gpu, driver, *_ = question.split()
    command = [str(path), "--gpu", gpu.replace("_", " "), "--json"]
    found = CliRunner().invoke(code, command + ([] if driver == "-" else ["--driver", driver]))
    assert found.exit_code in (0, 3), found.output
    told = json.loads(found.output)["places"][0]["asked"][0]
    return told["answer"], told, found.exit_code


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    place = tmp_path_factory.mktemp("code")
    made = {one["name"]: place / f"{number}.so" for number, one in enumerate(ASKED["code"])}
    for one in ASKED["code"]:
        made[one["name"]].write_bytes(library(one))
    return made


@pytest.mark.parametrize(("one", "question"), QUESTIONS, ids=[f"{one['name']}: {text}" for one, text in QUESTIONS])
def test_the_answer_is_the_known_one(files: dict[str, Path], one: dict[str, Any], question: str) -> None:
    *_, known, source = question.split()
    assert source in ASKED["sources"]
    told, more, status = answer(files[one["name"]], question)
    assert told == known, more
    assert status == (0 if known == "yes" else 3)


@pytest.fixture(scope="module")
def forms(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    place = tmp_path_factory.mktemp("forms")
    return {one["name"]: written(one, place / str(number)) for number, one in enumerate(FORMS["code"])}


@pytest.mark.parametrize(("one", "question"), OF_FORMS, ids=[f"{one['name']}: {text}" for one, text in OF_FORMS])
def test_the_answer_of_a_form_is_the_known_one(forms: dict[str, Path], one: dict[str, Any], question: str) -> None:
    *_, known, source = question.split()
    assert source in FORMS["sources"]
    told, more, status = answer(forms[one["name"]], question)
    assert told in (("no", "unknown") if known == "not-yes" else (known,)), more
    assert status == (0 if known == "yes" else 3)


def test_there_are_two_hundred_and_each_source_is_used() -> None:
    assert len(QUESTIONS) + len(ROWS) >= 200
    assert {question.split()[-1] for _, question in QUESTIONS} == set(ASKED["sources"])
    assert {question.split()[-1] for _, question in OF_FORMS} == set(FORMS["sources"])
