"""The task prolog in C: the output of the hook in Python for every note, and the hook itself where it is in doubt."""

import json
import os
import random
import subprocess
from pathlib import Path

import pytest

from preflight.hooks.task import task
from unit.agent_site import build

NODE = "n1"
NOTES = (
    {"verdict": "ready", "report": "", "message": ""},
    {"verdict": "ready", "report": "/shared/reports/7/n1.0.prolog.json", "message": ""},
    {"verdict": "degraded", "report": "/r", "message": "GPU 0 has warnings (0000:3B:00.0)"},
    {"verdict": "unknown", "report": "/r", "message": 'a "word" and a \\ of it'},
    {"verdict": "mismatch", "report": "/r", "message": "x" * 3000},
    {"verdict": "mismatch", "report": "/r", "message": "é, \x1b[31m and \n"},
    {"verdict": "mismatch", "report": "/r", "message": "print export %s %n %d"},
)
STEPS: tuple[dict[str, str], ...] = (
    {},
    {"SLURM_STEP_ID": "4294967291"},
    {"SLURM_STEP_ID": "-5"},
    {"SLURM_STEP_ID": "0", "SLURM_LOCALID": "0"},
    {"SLURM_STEP_ID": "0", "SLURM_LOCALID": "1"},
    {"SLURM_STEP_ID": "0", "SLURM_LOCALID": "0", "ENVIRONMENT": "BATCH", "SLURM_NODEID": "0"},
    {"SLURM_STEP_ID": "0", "SLURM_LOCALID": "0", "ENVIRONMENT": "BATCH", "SLURM_NODEID": "1"},
    {"SLURM_STEP_ID": "3", "SLURM_LOCALID": "0"},
)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, with the compiler's checks of its memory."""
    options = ("LINK=", "CFLAGS=-g -O1 -fsanitize=address,undefined -fno-sanitize-recover=all")
    return build(tmp_path_factory.mktemp("task"), *options) / "preflight-task"


def script(place: Path, program: Path) -> Path:
    otherwise = place / "otherwise"
    otherwise.write_text("#!/bin/sh\necho OTHERWISE\n")
    otherwise.chmod(0o755)
    made = place / "client-taskprolog"
    made.write_text(f"#!{program}\n# words\nrun-dir {place}\notherwise {otherwise}\n")
    made.chmod(0o755)
    (place / "task").mkdir(exist_ok=True)
    return made


def run(made: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([made], env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("note", NOTES, ids=lambda note: note["verdict"] + str(len(note["message"])))
def test_the_output_is_the_hooks_own(
    program: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], note: dict[str, str]
) -> None:
    made = script(tmp_path, program)
    (tmp_path / "task/n1.7").write_text(json.dumps(note, separators=(",", ":")))
    for step in STEPS:
        environment = {"SLURMD_NODENAME": NODE, "SLURM_JOB_ID": "7", **step}
        task(str(tmp_path), environment)
        done = run(made, **environment)
        expected = capsys.readouterr().out
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == (expected if "é" not in note["message"] else "OTHERWISE\n")


def test_any_other_note_is_left_to_the_hook(program: Path, tmp_path: Path) -> None:
    made, note = script(tmp_path, program), tmp_path / "task/n1.7"
    environment = {"SLURMD_NODENAME": NODE, "SLURM_JOB_ID": "7"}
    good = json.dumps(NOTES[2], separators=(",", ":")).encode()
    chance = random.Random(7)
    odd = [
        b"",
        b"{",
        b"[]",
        b"null",
        good[:-1],
        good + b"}",
        good + b"\n",
        b"\0" * 50,
        b"x" * 40000,
        good.replace(b":", b": "),
    ]
    odd += [json.dumps({"report": "", "verdict": "ready", "message": ""}).encode(), b'{"verdict":"' + b"y" * 15000]
    for data in odd:
        note.write_bytes(data)
        assert (run(made, **environment).stdout, run(made, **environment).returncode) == ("OTHERWISE\n", 0), data[:60]
    for _ in range(60):
        data = bytearray(good)
        data[chance.randrange(len(data))] = chance.randrange(256)
        note.write_bytes(data)
        done = run(made, **environment)
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "environment",
    [{}, {"SLURMD_NODENAME": NODE}, {"SLURMD_NODENAME": NODE, "SLURM_JOB_ID": "8"}],
    ids=["nothing", "no job", "a job without a note"],
)
def test_without_a_note_nothing_is_said(program: Path, tmp_path: Path, environment: dict[str, str]) -> None:
    done = run(script(tmp_path, program), **environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("name", ["../n1", "/etc/n1", "n/1", "n1\n", ""])
def test_no_name_leads_out_of_the_notes(program: Path, tmp_path: Path, name: str) -> None:
    made = script(tmp_path, program)
    (tmp_path / "n1.7").write_text('{"verdict":"x","report":"","message":""}')
    done = run(made, SLURMD_NODENAME=name, SLURM_JOB_ID="7")
    assert (done.returncode, done.stdout) == (0, "OTHERWISE\n")


def test_without_settings_it_says_nothing(program: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    for text in ("", "run-dir /x\n", "\0" * 100, "otherwise\nrun-dir\n", "x" * 20000):
        empty.write_text(text)
        done = subprocess.run(
            [program, empty], env={"SLURMD_NODENAME": NODE, "SLURM_JOB_ID": "7"}, capture_output=True, check=False
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert os.access(program, os.X_OK)
