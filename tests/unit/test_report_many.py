"""A job's reports are thousands: what is alike is kept and looked at once, and the JSON of all is never held whole."""

import json
import os
import sys
import tempfile
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from preflight.cli.report import report as command
from preflight.json_text import indented
from preflight.report import as_owner, aside, store
from preflight.report.advice import advise
from preflight.report.aside import Aside, document
from preflight.report.condense import Condenser
from preflight.report.found import entry_of
from preflight.report.merge import merge
from preflight.report.render import render
from preflight.report.validate import load
from report_samples import FAULT, SAMPLES, facts, finding, gpu, passing, report

PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
VALUES = st.recursive(PLAIN, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


def job(nodes: int, fault: Callable[[int], bool] = lambda number: False) -> list[dict[str, Any]]:
    """Return the reports of a job: each node's own UUIDs, times and free memory, and here and there a fault."""
    made = []
    for number in range(nodes):
        devices = [gpu(index, uuid=f"GPU-{number}-{index}") for index in range(8)]
        own = facts(memory={"total": 1 << 39, "available": number}) | {"gpus": {"count": 8, "devices": devices}}
        findings = [one._replace(duration_ms=number / 10) for one in passing()]
        if fault(number):
            findings.append(FAULT._replace(message=f"GPU 3 has {number} uncorrected ECC errors", observed=str(number)))
        verdict = "unhealthy" if fault(number) else "ready"
        made.append(report(f"gpu{number:04}", facts=own, findings=findings, verdict=verdict, duration_ms=number))
    return [load(store.encode(one)) for one in made]


def calls(action: Callable[[], object]) -> int:
    """Return how many functions are called, C's too: the same on a busy machine."""
    counted = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal counted
        counted += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        action()
    finally:
        sys.setprofile(None)
    return counted


def test_parts_that_are_equal_are_one_object_and_those_that_differ_by_kind_are_not() -> None:
    one, two, other = job(3)
    other["facts"]["quantum"] = {"a": 1}
    condense = Condenser().condense
    first, second, third = map(condense, (one, two, other))
    assert first["findings"] is second["findings"] is third["findings"]
    assert first["facts"] is second["facts"]
    assert third["facts"] is not first["facts"]
    other["facts"]["quantum"] = {"a": True}
    assert condense(other)["facts"]["quantum"] == {"a": True}
    assert condense(other)["facts"]["quantum"]["a"] is True


@pytest.mark.parametrize("fault", [lambda number: False, lambda number: True], ids=["alike", "each its own"])
@pytest.mark.parametrize("form", ["text", "html", "markdown"])
def test_what_a_view_takes_grows_with_the_nodes_and_no_faster(form: str, fault: Callable[[int], bool]) -> None:
    few, many = job(50, fault), job(200, fault)
    render(merge("42", few), form)  # the templates are compiled, and what is remembered is there
    took = [calls(lambda some=some: render(merge("42", some), form)) for some in (few, many)]
    assert took[1] < 4.4 * took[0]


def test_tasks_of_an_array_cost_no_more_than_nodes() -> None:
    few, many = (
        [report(job={"id": 100 + task, "array_job_id": 100, "array_task_id": task}) for task in range(count)]
        for count in (50, 200)
    )
    merge("100", few)
    took = [calls(lambda some=some: merge("100", some)) for some in (few, many)]
    assert took[1] < 4.4 * took[0]


def test_a_node_is_well_again_by_the_last_word_on_its_check() -> None:
    fault = finding("gpu.ecc", "fail", "node", subject="gpu3", remedy="reset it")
    well = finding("gpu.ecc", "pass", "node", subject="")
    for findings, told in (([fault, well], False), ([well, fault], True), ([well, fault, fault, well], False)):
        advice = advise(merge("42", [report(verdict="unhealthy", findings=findings)]))
        assert any("reset it" in line for line in advice.admin) is told


@settings(deadline=None, max_examples=80)
@given(VALUES)
def test_the_text_is_that_of_json_dumps(value: Any) -> None:
    assert indented(value) == json.dumps(value, indent=2)


def test_infinity_is_written_as_json_dumps_does() -> None:
    for value in (float("inf"), float("-inf"), float("nan"), [], {}, [[], {}]):
        assert indented(value) == json.dumps(value, indent=2)
    with pytest.raises(TypeError, match="JSON cannot hold a set"):
        indented(set())


def whole(reports: list[dict[str, Any]], notes: tuple[str, ...] = ()) -> str:
    kept = Aside()
    entries = [entry_of(one, json.dumps(one).encode(), kept.keep) for one in reports]
    return "".join(document("42", entries, kept, notes))


@pytest.mark.parametrize("name", SAMPLES)
def test_the_document_is_the_reports_as_they_are(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    reports = [load(store.encode(one)) for one in SAMPLES[name]()]
    view = merge("42", reports)
    expected = {
        "format": "preflight.job/1",
        "job": "42",
        "verdict": view.verdict,
        "nodes": list(view.nodes),
        "reports": reports,
        "left_out": ["a \x7f note"],
    }
    text = json.dumps(expected, indent=2).replace("\x7f", "\\u007f") + "\n"
    assert whole(reports, ("a \x7f note",)) == text
    monkeypatch.setattr(aside, "IN_MEMORY", 1)  # and from a file
    assert whole(reports, ("a \x7f note",)) == text


def test_a_report_that_is_nested_as_deep_as_can_be_read_loses_no_other() -> None:
    deep: Any = []
    for _ in range(sys.getrecursionlimit() // 2):
        deep = [deep]
    reports = [report("gpu002", facts={"odd": {"key": deep}}), report()]
    assert json.loads(whole(reports))["reports"] == reports


def test_json_of_many_reports_is_never_held_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aside, "IN_MEMORY", 1)

    class Nowhere:
        size = 0

        def write(self, text: str) -> None:
            self.size += len(text)

    def held(reports: list[dict[str, Any]]) -> tuple[int, int]:
        raws = [json.dumps(one).encode() for one in reports]
        out = Nowhere()
        tracemalloc.start()
        kept = Aside()
        entries = [entry_of(load(raw), raw, kept.keep) for raw in raws]
        for text in document("42", entries, kept):
            out.write(text)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most, out.size

    (few, short), (many, long) = held(job(20)), held(job(320))
    assert long > 15 * short
    assert many - few < (long - short) / 5


@pytest.fixture
def place() -> Iterator[Path]:
    """A policy and three reports of job 42 where a user of his own may go, too; pytest's own directories are root's."""
    with tempfile.TemporaryDirectory(prefix="preflight-many-", dir="/tmp") as made:
        Path(made).chmod(0o755)
        config = Path(made) / "preflight.toml"
        config.write_text(f'version = 1\nmode = "observe"\n[report]\nspool = "{made}/spool"\ndir = "{made}/reports"\n')
        (Path(made) / "reports").mkdir()
        for one in job(3):
            store.write_copy(f"{made}/reports", one, os.geteuid(), -1)
        yield config


def test_no_room_for_what_is_put_aside_is_one_line(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Aside, report: object, raw: bytes) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(Aside, "keep", full)
    done = CliRunner().invoke(command, ["42", "--format", "json", "--config", str(place)])
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == (
        "preflight report: No space left on device where temporary files go; set TMPDIR to a place with room\n"
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_copies_that_are_not_all_read_are_a_line(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in (place.parent / "reports/42").iterdir():
        os.chown(path, 65534, -1)
    asked = ["42", "--format", "json", "--config", str(place)]
    every = CliRunner().invoke(command, asked)
    assert len(json.loads(every.stdout)["reports"]) == 3
    assert "not all copies" not in every.stderr
    monkeypatch.setattr(as_owner, "MOST_BYTES", 1)
    one = CliRunner().invoke(command, asked)
    assert len(json.loads(one.stdout)["reports"]) == 1
    assert "not all copies of nobody were read, they are too many or their place is slow: sudo -u nobody" in one.stderr
