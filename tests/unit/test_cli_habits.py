"""What any command line has: its version, help by name, hints for mistyped names, colour for people alone."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys

import pytest

from preflight import __version__
from preflight.cli.colour import coloured

BLANK = re.compile(r"\033\[[0-9;]*m")


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "preflight", *words], capture_output=True, text=True, check=False)


def on_a_terminal(*words: str, **variables: str) -> str:
    """Return what a command writes to a terminal."""
    ours, theirs = pty.openpty()
    environment = {key: value for key, value in os.environ.items() if key != "NO_COLOR"} | {"TERM": "xterm"} | variables
    with subprocess.Popen([sys.executable, "-m", "preflight", *words], stdout=theirs, env=environment):
        os.close(theirs)
        found = b""
        while True:
            try:
                part = os.read(ours, 4096)
            except OSError:  # the last one that wrote has ended
                break
            found += part
    os.close(ours)
    return found.decode().replace("\r\n", "\n")


@pytest.mark.parametrize("word", ["-V", "--version", "version"])
def test_the_version_by_any_of_its_names(word: str) -> None:
    done = run(word)
    assert (done.returncode, done.stdout) == (0, f"preflight, version {__version__}\n")


@pytest.mark.parametrize("words", [("plan",), ("fleet", "node"), ("checks",)])
def test_help_is_the_command_s_own(words: tuple[str, ...]) -> None:
    asked, own = run("help", *words), run(*words, "--help")
    assert (asked.returncode, asked.stdout) == (0, own.stdout)
    assert own.stdout.startswith(f"Usage: preflight {' '.join(words)}")


@pytest.mark.parametrize(
    ("words", "near"),
    [(("chek",), "check"), (("Doctor",), "doctor"), (("fleet", "statuss"), "status"), (("config", "chek"), "check")],
)
def test_a_mistyped_command_is_told_what_is_near(words: tuple[str, ...], near: str) -> None:
    done = run(*words)
    assert done.returncode == 2
    assert f"no command is named {words[-1]!r}; did you mean {near}?" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_nothing_is_guessed_where_nothing_is_near() -> None:
    done = run("zzzz")
    assert "did you mean" not in done.stderr


def test_colour_is_for_a_terminal_alone() -> None:
    words = ("check", "--phase", "health", "--root", "/nowhere/such")
    assert "\033" not in run(*words).stdout
    shown, plain = on_a_terminal("doctor"), on_a_terminal("doctor", NO_COLOR="1")
    assert "\033[" in shown
    assert "\033" not in plain
    assert "\033" not in on_a_terminal("doctor", TERM="dumb")
    assert len(BLANK.sub("", shown).splitlines()) == len(plain.splitlines())


@pytest.mark.parametrize(
    ("line", "code"),
    [("  FAIL gpu.lost", "1;31"), ("READY", "32"), ("    WARN os.eol", "33"), ("  ok      policy: here", "32")],
)
def test_the_word_that_begins_a_line_is_coloured(line: str, code: str) -> None:
    word = line.split()[0]
    assert coloured(line) == line.replace(word, f"\033[{code}m{word}\033[0m", 1)


@pytest.mark.parametrize("line", ["okay", "  a FAIL inside", "FAILED", "unknowns"])
def test_other_words_are_not(line: str) -> None:
    assert coloured(line) == line


def test_the_catalogue_of_checks_fits_a_terminal() -> None:
    assert all(len(line) <= 80 for line in run("checks").stdout.splitlines())


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ("gpu.xids", "did you mean gpu.xid?"),
        ("retired", "did you mean gpu.retired.double_bit, gpu.retired.pages, gpu.retired.pending?"),
        ("nvlink", "did you mean gpu.nvlink, gpu.nvlink.crc, gpu.nvlink.errors, gpu.nvlink.flapping or "),
        ("gpus", "see: preflight checks"),
    ],
)
def test_a_check_by_a_part_of_its_name_or_a_mistyped_one(asked: str, answer: str) -> None:
    done = run("checks", asked)
    assert done.returncode == 2
    assert f"no check is named {asked!r}; {answer}" in done.stderr
