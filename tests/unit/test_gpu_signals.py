"""docs/gpu-signals.md is complete and true: each signal has its check, each function its use, or a reason."""

import re
from pathlib import Path

import pytest

from preflight.checks.registry import every_check
from preflight.facts import gpu_health, gpu_nvlink

HERE = Path(__file__).resolve()
PAGE = (HERE.parents[2] / "docs/gpu-signals.md").read_text(encoding="utf-8")
FACTS = HERE.parents[2] / "src/preflight/facts"
WANTED = (HERE.parent / "data/gpu_signals.txt").read_text(encoding="utf-8").splitlines()
SOURCE = "".join(one.read_text(encoding="utf-8") for one in sorted(FACTS.glob("*.py")))
CALLED = {"nvmlInitWithFlags" if name == "nvmlInit" else name for name in re.findall(r'"(nvml[A-Z]\w+)"', SOURCE)}


def table(title: str) -> dict[str, list[str]]:
    """Return the rows of a table, by their first column."""
    lines = PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if line.startswith("| ")][1:]
    assert len({row[0] for row in rows}) == len(rows)
    return {row[0]: row[1:] for row in rows}


SIGNALS, FUNCTIONS = table("Signals"), table("Functions")


def wanted(kind: str) -> list[str]:
    return [line.partition(": ")[2] for line in WANTED if line.startswith(f"{kind}: ")]


def plain(symbol: str) -> str:
    return re.sub(r"_v\d$", "", symbol)


def test_every_signal_has_a_row_and_a_check() -> None:
    assert sorted(SIGNALS) == sorted(wanted("signal"))
    checks = every_check()
    for signal, cells in SIGNALS.items():
        named = re.findall(r"`([a-z0-9_.]+)`", cells[-1])
        assert named, signal
        assert set(named) <= set(checks), signal


def test_every_check_of_a_gpu_is_in_the_table() -> None:
    named = set(re.findall(r"`([a-z0-9_.]+)`", PAGE))
    of_gpus = {name for name, check in every_check().items() if name.startswith("gpu.") and "gpus" in check.reads}
    by_the_log = {name for name in of_gpus if "kernel_log" in every_check()[name].reads}
    assert of_gpus - named - by_the_log == {"gpu.stuck"}  # busy at idle power: no one signal's


@pytest.mark.parametrize("function", wanted("function"))
def test_every_function_is_called_as_its_row_says_or_has_a_reason(function: str) -> None:
    (text,) = FUNCTIONS[function]
    called = function in CALLED or (plain(function) in CALLED and f"{plain(function)}_v1" not in FUNCTIONS)
    if text.startswith("not called: "):
        newer = f"{function}_v2" in FUNCTIONS or f"{function}V" in FUNCTIONS
        assert not called or newer, f"{function} is called"
        assert len(text) > len("not called: ")
    else:
        assert text.startswith("called")
        assert called, f"{function} is not called"


def test_no_function_is_called_without_a_row() -> None:
    known = {*FUNCTIONS, *map(plain, FUNCTIONS)}
    assert {name for name in CALLED if not name.startswith("nvmlMemory")} <= known


def fields(text: str) -> set[int]:
    """Return the field ids that a cell names: "fields 94, 179, 180", "206 to 212, 214"."""
    found: set[int] = set()
    for first, _, last in re.findall(r"\b(\d{2,3})( to (\d{2,3}))?\b", text):
        found |= set(range(int(first), int(last or first) + 1))
    return found


def test_every_field_that_is_read_or_judged_stands_in_the_table() -> None:
    named = set().union(*(fields(" ".join(cells)) for cells in SIGNALS.values()))
    read = {*gpu_health.FIELDS.values(), *gpu_nvlink.OF_LINKS.values()}
    assert read <= named
    assert set(range(206, 223)) <= named  # NVLink 5's
    for field in (216, 217, 218, 220, 222, 213):
        assert field not in read
