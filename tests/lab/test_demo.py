"""`make demo` tells its story to the end, on a narrow screen and without a terminal."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lab import unavailable
from lab.demo import ACTS
from lab.demo_page import Row, table

TESTS = Path(__file__).resolve().parents[1]


@pytest.mark.lab
def test_the_story_comes_true(tmp_path: Path) -> None:
    reason = unavailable()
    if reason:
        pytest.skip(reason)
    pages = tmp_path / "demo-reports"
    done = subprocess.run(
        [sys.executable, "-m", "lab.demo", str(pages)],
        cwd=TESTS,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    assert done.stderr == ""
    assert [line for line in done.stdout.splitlines() if len(line) > 80 or not line.isprintable()] == []
    assert len(list(pages.glob("*.html"))) == len(ACTS)
    assert all("</html>" in page.read_text(encoding="utf-8") for page in pages.iterdir())


def test_a_long_requirement_goes_on_below_itself() -> None:
    asked = "cuda>=12.4, ubuntu>=22.04|rhel>=9, mount=/a/path/longer/than/the/column"
    lines = table([Row("1 fits", asked, "n1", "ready", "runs", "p/1.html")]).splitlines()
    assert lines[2].startswith("1 fits   cuda>=12.4,          n1       ready")
    assert [line.strip() for line in lines[3:]] == [
        "ubuntu>=22.04|",
        "rhel>=9,",
        "mount=/a/path/longe",
        "r/than/the/column",
    ]
    assert max(map(len, lines)) <= 80


def test_it_needs_no_library_that_only_tests_have() -> None:
    """`make demo` installs Preflight without its extras."""
    code = "import sys; sys.modules.update(jsonschema=None, pytest=None, hypothesis=None); import lab.demo"
    where = Path(__file__).parent.parent
    subprocess.run([sys.executable, "-c", code], cwd=where, check=True)
