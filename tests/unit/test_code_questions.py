"""Questions to `preflight code` with known answers, each with its source: tests/unit/data/code_questions.toml."""

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

FILE = Path(__file__).parent / "data" / "code_questions.toml"
ASKED: dict[str, Any] = toml.loads(FILE.read_text(encoding="utf-8"))
QUESTIONS = [(one, question) for one in ASKED["code"] for question in one["questions"]]
SUFFIX = {"": make.PLAIN, "a": make.ACCELERATED, "f": make.FAMILY}
MACHINES = {"x86_64": make.X86_64, "aarch64": make.AARCH64}


def image(text: str) -> bytes:
    name, _, isa = text.partition("@")
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


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    place = tmp_path_factory.mktemp("code")
    made = {one["name"]: place / f"{number}.so" for number, one in enumerate(ASKED["code"])}
    for one in ASKED["code"]:
        made[one["name"]].write_bytes(library(one))
    return made


@pytest.mark.parametrize(("one", "question"), QUESTIONS, ids=[f"{one['name']}: {text}" for one, text in QUESTIONS])
def test_the_answer_is_the_known_one(files: dict[str, Path], one: dict[str, Any], question: str) -> None:
    gpu, driver, answer, source = question.split()
    assert source in ASKED["sources"]
    command = [str(files[one["name"]]), "--gpu", gpu.replace("_", " "), "--json"]
    found = CliRunner().invoke(code, command + ([] if driver == "-" else ["--driver", driver]))
    told = json.loads(found.output)["places"][0]["asked"][0]
    assert told["answer"] == answer, (told["why"], told["packages"])
    assert found.exit_code == (0 if answer == "yes" else 3)


def test_there_are_two_hundred_and_each_source_is_used() -> None:
    assert len(QUESTIONS) + len(ROWS) >= 200
    assert {question.split()[-1] for _, question in QUESTIONS} == set(ASKED["sources"])
