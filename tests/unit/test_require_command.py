"""`preflight require`, its documentation page, and what the language costs the hook."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import preflight
from preflight.cli.require import require
from preflight.requirements import names, words
from preflight.requirements.grammar import parse

ROOT = Path(__file__).parents[2]


@pytest.fixture
def runner() -> CliRunner:
    return CliRunner()


def test_words_are_the_default(runner: CliRunner) -> None:
    result = runner.invoke(require, ["cuda>=12.4, !mig"])
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "cuda>=12.4: a program built with CUDA 12.4 runs on the node",
        "!mig: MIG is off for every GPU",
    ]


def test_json(runner: CliRunner) -> None:
    result = runner.invoke(require, ["cuda==12.4|ecc", "--to", "json"])
    assert result.exit_code == 0
    assert json.loads(result.stdout) == [
        [
            {"name": "cuda", "op": "=", "value": "12.4", "negated": False},
            {"name": "ecc", "op": None, "value": None, "negated": False},
        ]
    ]


def test_a_mistake_exits_2_and_goes_to_stderr(runner: CliRunner) -> None:
    result = runner.invoke(require, ["cudda>=12.4"])
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr == 'unknown name "cudda": did you mean "cuda"?\n  cudda>=12.4\n  ^\n'


def test_help_lists_every_name(runner: CliRunner) -> None:
    shown = runner.invoke(require, ["--help"]).stdout.split()
    assert [row.name for row in names.ROWS if row.name not in shown] == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ubuntu>=22.04", "the distribution is Ubuntu, and its version is 22.04 or newer"),
        ("kernel~=5.14", "the kernel is 5.14 or a later 5.x"),
        ("driver<550", "the NVIDIA driver is older than 550"),
        ("!driver<550", "it is not so that the NVIDIA driver is older than 550"),
        ("cuda<=12.4", "the driver's own CUDA version is 12.4 or older"),
        ("!cuda=12.4", "it is not so that a program built with CUDA 12.4 runs on the node"),
        ("gpu.memory>=80G", "the memory of every GPU is 80G or more"),
        ("gpu.count", "the number of GPUs is 1 or more"),
        ("os!=oracle", "the distribution is not Oracle Linux"),
        ("gpu=h100|ecc", "every GPU is a h100; or ECC is on for every GPU"),
        ("mount=/scratch", "/scratch is mounted"),
        ('mount="/{0}"', "/{0} is mounted"),
    ],
)
def test_plain_english(text: str, said: str) -> None:
    assert words.explain(parse(text)) == [f"{text}: {said}"]


def test_the_documentation_page_is_current() -> None:
    path = ROOT / "docs" / "requirements.md"
    text = path.read_text(encoding="utf-8")
    assert words.page(text) == text, "write words.page() of docs/requirements.md back to the file"


def test_a_page_without_its_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="names: generated"):
        words.page("nothing")


def test_the_language_imports_little() -> None:
    source = Path(preflight.__file__).parents[1]
    program = (
        f"import sys; sys.path.insert(0, {str(source)!r}); import preflight.requirements.evaluate\n"
        "print(*(name for name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "preflight.requirements.grammar" in loaded
    heavy = {"click", "jinja2", "dataclasses", "tomllib", "distro", "subprocess", "logging", "asyncio", "pathlib"}
    assert loaded & (heavy | {"difflib", "json", "fcntl", "pwd", "inspect"}) == set()
