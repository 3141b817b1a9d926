"""`make demo` tells its story to the end, on a narrow screen and without a terminal."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.common.by import By

from fleet.browser import DESK, PHONE, Browser
from lab import unavailable
from lab.demo import ACTS, USER
from lab.demo_page import Row, table

TESTS = Path(__file__).resolve().parents[1]


@pytest.mark.lab
def test_the_story_comes_true(tmp_path: Path) -> None:
    reason = unavailable()
    if reason:
        pytest.skip(reason)
    pages = tmp_path / "demo-reports"
    told = subprocess.Popen(
        [sys.executable, "-m", "lab.demo", str(pages)],
        cwd=TESTS,
        env={**os.environ, "PYTHONIOENCODING": "ascii", "SERVE": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert told.stdout is not None
    lines = []
    for line in told.stdout:
        lines.append(line.rstrip("\n"))
        if line.startswith("Ctrl-C"):
            break
    try:
        if told.poll() is None:
            look(lines)
    finally:
        told.send_signal(signal.SIGINT)
        rest, errors = told.communicate()
    lines += rest.splitlines()
    assert told.returncode == 0, errors + "\n".join(lines)
    assert errors == ""
    assert [line for line in lines if len(line) > 80 or not line.isprintable()] == []
    assert len(list(pages.glob("*.html"))) == len(ACTS)
    assert all("</html>" in page.read_text(encoding="utf-8") for page in pages.iterdir())


def look(lines: list[str]) -> None:
    """Open every page of the dashboard on what the demonstration did, and paste a line that submits a job."""
    (url,) = [line.strip() for line in lines if line.startswith("    http://")]
    (token,) = [line.strip() for line in lines if line.startswith("    pfr1_")]
    (place,) = [line.strip().removeprefix("cd ") for line in lines if line.startswith("    cd ")]
    (submit,) = [line.strip() for line in lines if line.startswith("    ./alice sbatch") and "cuda" in line]
    with Browser() as browser:
        driver = browser.driver
        driver.get(f"{url}login")
        driver.find_element(By.ID, "token").send_keys(token)
        driver.find_element(By.CSS_SELECTOR, ".login button").click()
        wait(lambda: driver.current_url.endswith("/fleet"))
        wait(lambda: "idle" in (driver.refresh() or driver.page_source))  # Slurm has been asked
        for path in ("fleet", "nodes", "node?name=sick1", "jobs", "job?id=2", "checks", "drift", "lifecycle"):
            for size in (DESK, PHONE):
                browser.size(size)
                driver.get(url + path)
                wide = driver.execute_script("return document.documentElement.scrollWidth - innerWidth")
                assert (path, browser.console(), browser.violations(), wide) == (path, [], [], 0)
        driver.get(f"{url}job?id=2")
        body = driver.find_element(By.TAG_NAME, "body").text
        assert "rocky1" in body
        assert "Requeue" in body
        driver.find_element(By.PARTIAL_LINK_TEXT, "Why it waits").click()
        wait(lambda: "/why" in driver.current_url)
        assert "moved" in driver.find_element(By.TAG_NAME, "pre").text
        driver.get(f"{url}why?id=4")
        assert "held" in driver.find_element(By.TAG_NAME, "pre").text
        assert (browser.console(), browser.violations()) == ([], [])
        driver.get(f"{url}jobs?user={USER}")
        wait(lambda: driver.execute_script("return document.getElementById('live').dataset.state") == "on")
        driver.execute_script("window.here = 1")
        done = subprocess.run(shlex.split(submit), cwd=place, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        job = done.stdout.split()[-1]
        wait(lambda: driver.find_elements(By.XPATH, f"//th/a[.='{job}']"), 120)
        assert driver.execute_script("return window.here") == 1


def wait(answer: Callable[[], Any], seconds: float = 60) -> Any:
    end = time.monotonic() + seconds
    while not (found := answer()):
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.2)
    return found


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
