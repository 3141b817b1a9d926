"""Commands behind words that are computed when the job runs: none is lost in silence."""

from __future__ import annotations

from pathlib import Path

import pytest
from infer_samples import clauses, read, unread

from preflight.submit.infer import _RULES

DOCKER = "docker run --gpus all nvidia/cuda:13.0.1-base-ubuntu24.04 ./a"
# Nothing is read behind these in any case: they take no command, or start a Python whose own needs are told.
_STARTS_NOTHING = {"cuda-gdb", "gdb", "pip", "pip3", "sbcast", "torchrun", "virtualenv"}


@pytest.mark.parametrize("name", sorted(set(_RULES) - _STARTS_NOTHING))
def test_no_rule_loses_what_stands_behind_a_computed_word(tmp_path: Path, name: str) -> None:
    for text in (f"{name} $(mktemp) {DOCKER}", f"{name} $1 ./missing"):
        assert read(text, tmp_path).unread, text


@pytest.mark.parametrize(
    "command",
    [
        DOCKER,
        "module load cuda/12.4",
        "./app",
        "srun --container-image=nvcr.io#nvidia/x y",
        "-c 'module load cuda/12.4'",
    ],
)
@pytest.mark.parametrize("lock", ["$(mktemp)", "$1", "-x $1"])
def test_flock_on_a_computed_file(tmp_path: Path, lock: str, command: str) -> None:
    assert unread(f"flock {lock} {command}", tmp_path) == [1]


def test_flock_on_a_descriptor_starts_nothing(tmp_path: Path) -> None:
    assert unread("flock -x $fd\nflock $options 9\nflock -n 9", tmp_path) == []


def test_flock_on_a_known_file_starts_its_command(tmp_path: Path) -> None:
    assert clauses("flock /tmp/lock module load cuda/12.4", tmp_path) == ["module=cuda/12.4", "cuda>=12.4"]


@pytest.mark.parametrize("text", ["./app", "/shared/x/bin/app", '"cd $PWD; ./app"', DOCKER, "module load cuda/12.4"])
@pytest.mark.parametrize(
    "ssh", ["ssh $h", "ssh -q $h", 'ssh "$h"', "ssh $options host", "ssh $h -p 22", "ssh host -p 22"]
)
def test_ssh_to_a_computed_host(tmp_path: Path, ssh: str, text: str) -> None:
    assert unread(f"{ssh} {text}", tmp_path) == [1]


@pytest.mark.parametrize(
    "text", ["ssh $h", "ssh $h hostname", "ssh $h cat /proc/meminfo", "ssh $h mkdir -p /scratch/x"]
)
def test_ssh_for_what_starts_nothing(tmp_path: Path, text: str) -> None:
    assert unread(text, tmp_path) == []


@pytest.mark.parametrize(
    "options", ["-q /dev/null -c", "-qe run.log -c", "-qec", "-c", "run.log --command", "-a run.log -q -c", "$log -c"]
)
def test_script_runs_its_text_wherever_the_option_stands(tmp_path: Path, options: str) -> None:
    text = f"script {options} 'module load cuda/12.4'"
    assert clauses(text, tmp_path) == ["module=cuda/12.4", "cuda>=12.4"]
    assert unread(text, tmp_path) == []


@pytest.mark.parametrize("text", ["script run.log module load cuda/12.4", "script run.log -- ./app", "script -tx.c $c"])
def test_script_with_a_command_of_its_own_is_unread(tmp_path: Path, text: str) -> None:
    assert unread(text, tmp_path) == [1]


@pytest.mark.parametrize("text", ["command -v $name", "script run.log", "tmux kill-session -t $name", "docker -v"])
def test_what_starts_nothing_is_silent(tmp_path: Path, text: str) -> None:
    assert unread(text, tmp_path) == []
