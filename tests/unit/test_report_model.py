"""The report's builder, its JSON Schema, and the reader of reports that anybody may have written."""

import json
import subprocess
import sys

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from preflight.report import model
from preflight.report.schema import schema
from preflight.report.store import encode
from preflight.report.validate import MAX_BYTES, ReportError, load
from report_samples import FAULT, LEFT, SAMPLES, START, finding, report

VALIDATOR = jsonschema.Draft202012Validator(schema())


def test_the_schema_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(schema())


@pytest.mark.parametrize("name", SAMPLES)
def test_every_sample_is_valid_and_reads_back(name):
    for one in SAMPLES[name]():
        VALIDATOR.validate(json.loads(encode(one)))
        assert load(encode(one)) == json.loads(json.dumps(one))


def test_a_report_without_a_job_or_a_requirement_is_valid():
    made = report(phase="health", job=None, requirement=None)
    VALIDATOR.validate(made)
    assert made["job"] is None
    assert made["requirement"] is None
    assert load(encode(made))["id"].startswith("gpu001/node/0/health/")


def test_fields_are_those_of_the_contract():
    made = report(phase="epilog", findings=[FAULT], changes=[LEFT])
    assert made["format"] == "preflight.report/1"
    assert made["started"] == "2026-11-24T14:00:02.250Z"
    assert made["findings"] == [FAULT._asdict()]
    assert made["counts"] == {"pass": 0, "warn": 0, "fail": 1, "skip": 0, "unknown": 0}
    assert made["changes"] == [LEFT]
    assert made["action"] == {"kind": "none", "detail": "", "enforced": True}
    fields = "id array_job_id array_task_id restart user uid partition nodes gpus constraints mig"
    assert " ".join(made["job"]) == fields


def test_only_the_epilog_has_changes():
    assert "changes" not in report()
    assert report(phase="epilog")["changes"] == []


def test_the_id_tells_runs_phases_and_times_apart_and_stays():
    ids = [
        report()["id"],
        report(phase="epilog")["id"],
        report(job={"restart": 1})["id"],
        report("gpu002")["id"],
        report(started=START + 0.001)["id"],
    ]
    assert len(set(ids)) == len(ids)
    assert report()["id"] == ids[0]


def test_a_time_is_rounded_as_a_whole():
    assert model.timestamp(1795528799.9996) == "2026-11-24T14:00:00.000Z"


def _without(key):
    return {name: value for name, value in report().items() if name != key}


def _with(**other):
    return report() | other


WRONG = {
    "job": lambda: _with(job=[]),
    "job.id": lambda: _with(job=report()["job"] | {"id": "42"}),
    "job.restart": lambda: _with(job=report()["job"] | {"restart": True}),
    "verdict": lambda: _with(verdict="fine"),
    "phase": lambda: _with(phase=["prolog"]),
    "started": lambda: _with(started="yesterday"),
    "findings[0].status": lambda: _with(findings=[FAULT._asdict() | {"status": {}}]),
    "findings[1].message": lambda: _with(findings=[FAULT._asdict(), FAULT._asdict() | {"message": None}]),
    "action.enforced": lambda: _with(action={"kind": "none", "detail": "", "enforced": 1}),
    "counts.pass": lambda: _with(counts={"pass": 1.5, "warn": 0, "fail": 0, "skip": 0, "unknown": 0}),
    "facts value": lambda: _with(facts={"os": "linux"}),
    "timings_ms value": lambda: _with(timings_ms={"os": -1}),
    "software.python": lambda: _with(software={"preflight": "1", "policy_sha256": None, "catalog": None}),
    "duration_ms": lambda: _without("duration_ms"),
}


@pytest.mark.parametrize("where", WRONG)
def test_a_wrong_field_is_named_by_the_reader_and_refused_by_the_schema(where):
    wrong = WRONG[where]()
    with pytest.raises(ReportError, match="^" + where.replace("[", r"\[").replace("]", r"\]") + ":"):
        load(json.dumps(wrong))
    assert not VALIDATOR.is_valid(wrong)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{",
        '{"format": "preflight.report/2"}',
        "[" * 200_000,
        '{"a":' * 100_000,
        '{"n": ' + "9" * 10_000 + "}",
        '{"n": NaN}',
        b"\xff\xfe{\x00}\x00",
        b"\x00" * 100,
        b" " * (MAX_BYTES + 1),
    ],
    ids=range(12),
)
def test_no_report_gives_one_line(text):
    with pytest.raises(ReportError) as caught:
        load(text)
    assert caught.value.args[0].isprintable()
    assert len(str(caught.value)) < 120


def test_a_report_cut_anywhere_is_refused():
    whole = encode(report()).strip()
    for end in range(0, len(whole), 37):
        with pytest.raises(ReportError):
            load(whole[:end])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda one: st.lists(one) | st.dictionaries(st.text(), one),
)


@given(st.sampled_from(sorted(report())), JSON)
def test_whatever_a_field_holds_the_reader_accepts_or_says_so(field, value):
    said = ""
    try:
        load(json.dumps(report() | {field: value}))
    except ReportError as error:
        said = str(error)
    assert said.isprintable()


def test_the_hot_path_imports_nothing_heavy():
    code = "import sys, preflight.report.store; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "preflight.report.model" in loaded
    heavy = {"jinja2", "click", "dataclasses", "tomllib", "distro", "subprocess", "logging", "asyncio", "tempfile"}
    plain = subprocess.run([sys.executable, "-c", "import sys; print(*sys.modules)"], capture_output=True, text=True)
    assert not heavy & (set(loaded) - set(plain.stdout.split()))


def test_findings_keep_their_own_fields():
    row = finding(duration_ms=None).as_dict()
    assert report(findings=[finding(duration_ms=None)])["findings"] == [row]
