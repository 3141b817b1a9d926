"""The facts document: there and back, and files that are old, foreign or hostile."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preflight.facts.document import FactsDocument, parse_document, read_document
from preflight.facts.schema import FactsError, subjects
from preflight.facts.view import Unknown

GPU = {"index": 0, "minor": 3, "name": "NVIDIA H100", "memory": 85520809984, "ecc": True, "errors": {"mig": "Unknown"}}
DATA: dict[str, Any] = {
    "format": "preflight.facts/1",
    "node": "n1",
    "collected": "2026-11-24T14:00:00Z",
    "facts": {
        "os": {"id": "rocky", "version": "9.4", "like": ["rhel"], "name": "Rocky", "codename": None, "variant": None},
        "driver": {"version": None, "cuda": None, "module": None, "nvml": "LibraryNotFound"},
        "gpus": {"count": 1, "devices": [GPU], "stuck_at": None},
        "ib": {"ports": [{"device": "m", "port": 1, "state": "ACTIVE", "rate": 2.5}], "roce": [], "rate": 2.5},
        "toolkits": {"versions": ["12.4"], "items": [{"version": None, "path": "/x", "nvcc": False}]},
        "future": {"key": [1, {"x": None}]},
    },
    "unknown": {"tmp": "not a live node (--root)"},
    "timings_ms": {"os": 1.5, "gpus": 2},
}


def changed(path: str, value: Any) -> dict[str, Any]:
    """Return DATA with the value at a dotted path replaced."""
    data = json.loads(json.dumps(DATA))
    *parents, last = path.split(".")
    place = data
    for name in parents:
        place = place[int(name)] if isinstance(place, list) else place[name]
    place[last] = value
    return data


def test_there_and_back() -> None:
    document = parse_document(json.dumps(DATA), "f")
    assert document.to_dict() == DATA
    assert FactsDocument.from_dict(document.to_dict()) == document


def test_the_view_tells_values_absence_and_unknown_apart() -> None:
    view = FactsDocument.from_dict(DATA).view(gpus=(0,))
    assert view.get("os.version") == "9.4"
    assert view.get("driver.version") is None
    assert view.get("tmp.free") == Unknown("not a live node (--root)")
    assert view.devices() == [GPU]


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("format", "preflight.facts/2", "not a facts document: format must be 'preflight.facts/1', not 'preflight"),
        ("format", None, "not a facts document"),
        ("node", 5, "node must be a text"),
        ("facts", [], "facts must be an object"),
        ("unknown", {"tmp": 1}, "unknown must be an object of texts"),
        ("timings_ms", {"os": float("nan")}, "timings_ms must be an object of numbers"),
        ("facts.os", "rocky", "facts.os must be an object, not 'rocky'"),
        ("facts.os.id", None, "facts.os.id must be a text, not None"),
        ("facts.os.like", "rhel", "facts.os.like must be a list of texts, not 'rhel'"),
        ("facts.os.like", [1], "facts.os.like[0] must be a text, not 1"),
        ("facts.os.name", "x" * 5000, "facts.os.name must be a text, not 'xxx"),
        ("facts.driver.version", 550.54, "facts.driver.version must be a text, not 550.54"),
        ("facts.gpus.count", True, "facts.gpus.count must be a whole number, not True"),
        ("facts.gpus.count", -1, "facts.gpus.count must be a whole number, not -1"),
        ("facts.gpus.count", 10**400, "facts.gpus.count must be a whole number, not a number too large"),
        ("facts.gpus.devices", {}, "facts.gpus.devices must be a list of objects, not an object of 0"),
        ("facts.gpus.devices", [GPU, 1], "facts.gpus.devices[1] must be an object, not 1"),
        ("facts.gpus.devices", [{"minor": 1}], "facts.gpus.devices[0] has no index"),
        ("facts.gpus.devices.0.memory", "80G", "facts.gpus.devices[0].memory must be a whole number, not '80G'"),
        ("facts.gpus.devices.0.ecc", 1, "facts.gpus.devices[0].ecc must be a true or false, not 1"),
        ("facts.gpus.devices.0.errors", ["x"], "facts.gpus.devices[0].errors must be an object, not a list of 1"),
        ("facts.gpus.devices.0.errors", {"mig": 3}, "facts.gpus.devices[0].errors.mig must be a text, not 3"),
        ("facts.gpus.devices.0.processes", [{"pid": "1"}], "facts.gpus.devices[0].processes[0].pid must be"),
        ("facts.ib.rate", float("inf"), "facts.ib.rate must be a number, not inf"),
        ("facts.ib.ports", [None], "facts.ib.ports[0] must be an object, not None"),
    ],
)
def test_what_is_wrong_is_named(path: str, value: Any, message: str) -> None:
    with pytest.raises(FactsError) as caught:
        FactsDocument.from_dict(changed(path, value))
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    "text", ["", "[]", "null", "{", "[" * 200_000, '"\\ud800"', '{"format": "\x1b[31m"}', b"\xff\xfe"]
)
def test_a_file_that_is_none_gets_one_printable_line(text: str | bytes, tmp_path: Path) -> None:
    path = tmp_path / "f.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(FactsError) as caught:
        read_document(str(path))
    assert str(caught.value).startswith(f"{path}: not ")
    assert str(caught.value).isprintable()


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(FactsError, match=r"gone: cannot be read: No such file"):
        read_document(str(tmp_path / "gone"))


def test_unknown_keys_and_subjects_of_a_newer_version_pass() -> None:
    assert FactsDocument.from_dict(changed("facts.os.newer", [1])).facts["os"]["newer"] == [1]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
SUBJECTS = subjects()
SUBJECT = st.sampled_from(sorted(SUBJECTS))


@given(st.data())
def test_any_value_anywhere_is_taken_or_refused_in_one_line(data: st.DataObject) -> None:
    subject = data.draw(SUBJECT)
    key = data.draw(st.sampled_from(sorted(SUBJECTS[subject])))
    document = changed("facts", {subject: {key: data.draw(JSON)}})
    try:
        view = FactsDocument.from_dict(document).view()
    except FactsError as error:
        if "\n" in str(error):
            raise
        return
    view.get(f"{subject}.{key}")
    view.devices()
