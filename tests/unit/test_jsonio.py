"""Our JSON against the package's: the same values, the same text, the same refusals."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preflight import jsonio

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))


@given(values)
def test_written_as_the_package_writes(value: object) -> None:
    text = jsonio.dumps(value)
    assert text == json.dumps(value, separators=(",", ":"))
    assert jsonio.loads(text) == value
    assert jsonio.loads(text.encode()) == value


@given(st.text() | st.text(alphabet='{}[]",:0123456789.eE+- \n\ttruefalsn\\u'))
def test_read_as_the_package_reads(text: str) -> None:
    try:
        expected = json.loads(text)
    except ValueError:
        with pytest.raises(ValueError):  # noqa: PT011 - that it is refused is the point
            jsonio.loads(text)
    except RecursionError:
        with pytest.raises(ValueError, match="too deep"):
            jsonio.loads(text)
    else:
        assert repr(jsonio.loads(text)) == repr(expected)


@given(st.binary())
def test_bytes_never_crash_it(data: bytes) -> None:
    try:
        jsonio.loads(data)
    except ValueError:
        return


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [float("-inf")]])
def test_what_is_no_json_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="Out of range"):
        jsonio.dumps(value)


def test_what_json_cannot_hold_goes_through_default() -> None:
    with pytest.raises(TypeError, match="set"):
        jsonio.dumps({"a": {1}})
    assert jsonio.dumps({"a": {1}}, str) == '{"a":"{1}"}'


def test_without_the_accelerator_the_package_does_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonio, "_json", None)
    assert jsonio.loads(b'{"a": [1, null]}') == {"a": [1, None]}
    assert jsonio.dumps({"a": [1, None]}) == '{"a":[1,null]}'


def test_a_torn_text_is_a_value_error_where_json_is_not_imported() -> None:
    """As in a hook: CPython 3.10 and 3.11 answer with SystemError there."""
    whole = jsonio.dumps({"a": [1, -2.5e3, None, {"b": "c\n\u00e9"}], "d": {"e": True}})
    code = f"""
import sys
from preflight import jsonio
assert "json" not in sys.modules
whole = {whole!r}
for end in range(len(whole)):
    try:
        jsonio.loads(whole[:end])
    except ValueError:
        continue
    raise SystemExit(f"{{end}} characters were read as a value")
for deep in ("[", '{{"a":'):
    try:
        jsonio.loads(deep * 100000)
    except ValueError:
        continue
    raise SystemExit("nested too deep was read as a value")
"""
    # -S: a site directory may import json for its .pth files.
    source = Path(jsonio.__file__).parents[1]
    command = [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(source)!r})\n{code}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
