"""Smaller outages, each by trying: what cannot be written to, what must not be waited for, what is very long."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fuzz.meter import measured
from fuzz.target import Target
from preflight.catalog.schema import CatalogError
from preflight.catalog.site import read as read_catalog
from preflight.deploy.doctor.conf import _read_files
from preflight.deploy.doctor.elf import plugin_release
from preflight.deploy.doctor.plugstack import _lines
from preflight.deploy.doctor.script import read_script
from preflight.files import read_plain
from preflight.policy.load import PolicyError, parse_policy
from preflight.requirements.grammar import from_comment
from preflight.slurm.conf_file import in_file
from preflight.submit.options_asked import asked
from preflight.submit.script import read as read_script_of_a_job

COMMANDS = (  # and the exit code of each, whoever listens
    ("require", "cuda>=12.4", 0),
    ("require", "bogus", 2),
    ("require", "--bogus", 2),
    ("image", "/nonexistent", 2),
    ("check", "--require=bogus", 2),
    ("support", "--cuda=99", 3),
)


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize(("command", "argument", "code"), COMMANDS)
def test_a_command_exits_alike_with_its_outputs_closed(command: str, argument: str, code: int, closed: str) -> None:
    words = [sys.executable, "-m", "preflight", command, argument]
    done = subprocess.run(["/bin/sh", "-c", f'exec "$@" {closed}', "sh", *words], capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr


def test_nothing_that_doctor_reads_is_waited_for(tmp_path: Path) -> None:
    """A FIFO in the place of a file: opening it would wait for a writer."""
    pipe = str(tmp_path / "pipe")
    os.mkfifo(pipe)
    for read in (read_script, plugin_release, lambda path: read_plain(path, 10)):
        with pytest.raises(OSError, match="not a regular file"):
            read(pipe)
    with pytest.raises(CatalogError, match="not a regular file"):
        read_catalog(pipe)
    assert in_file(pipe, "x") is None
    lines, _, problem = _read_files(pipe)
    assert (lines, "not a regular file" in problem) == ([], True)
    problems: list[str] = []
    assert list(_lines(pipe, "", [], problems)) == []
    assert "not a regular file" in problems[0]


def _steps(check: object, data: bytes) -> int:
    target = Target("x", check, (), [], (), len(data), (1 << 40, 0), (1 << 40, 0))  # type: ignore[arg-type]
    return measured(target, data)[0]


@pytest.mark.parametrize("text", ["x:", "require: a;", " require:", "require", "; :\n"])
def test_a_comment_costs_what_it_is_long(text: str) -> None:
    """Ten times the text, at most eleven times the steps."""
    short, long = (_steps(lambda data: from_comment(data.decode()), (text * number).encode()) for number in (100, 1000))
    assert long <= 11 * short


def test_many_excluded_lists_cost_what_they_are_long() -> None:
    """`#SBATCH -x` with thousands of n[1-9]: nothing is expanded that is not asked for."""

    def check(data: bytes) -> None:
        asked(read_script_of_a_job([], {}, stdin_text=data.decode()).components[0])

    short, long = (
        _steps(check, f"#!/bin/bash\n#SBATCH -x {','.join(['n[1-9]'] * number)}\n".encode()) for number in (200, 2000)
    )
    assert long <= 11 * short


@pytest.mark.parametrize(
    "text", ["a = " + "[" * 20_000, "[" * 20_000, "a = " + "{a=" * 20_000], ids=("list", "key", "table")
)
def test_toml_within_toml_ends_in_a_line(text: str) -> None:
    with pytest.raises(PolicyError) as caught:
        parse_policy(f"version = 1\n{text}\n", "p.toml")
    assert all(len(line) < 300 for line in caught.value.lines)
