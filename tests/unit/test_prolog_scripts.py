"""The scripts that slurm.conf names: 1 for an enforced unhealthy and nothing else, whatever befalls Python or sh."""

import os
import resource
import shutil
import subprocess
from pathlib import Path

import pytest

from preflight.deploy.layout import HOOKS, Target, assets
from preflight.deploy.render import filled

# A user with no other process: execve answers EAGAIN to one who is past the limit already. The range of systemd's
# dynamic users, which have no account.
LONER = 61184 + os.getpid() % 4336
# bash tries for 15 s before it gives up: once is enough.
SHELLS = [(hook, "dash") for hook in HOOKS if shutil.which("dash")] + [("prolog", "bash")]


def script(name: str, place: Path, python: str) -> Path:
    """Write a hook's script into ``place``, run by ``python``."""
    place.chmod(0o755)
    target = Target(str(place), str(place / "p.toml"), str(place / "run"), python)
    text = (Path(assets()) / "prolog" / name).read_text()
    path = place / name
    path.write_text(filled(text, target, str(place / "main.py")))
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("name", HOOKS)
@pytest.mark.parametrize(("ending", "code"), [("exit 0", 0), ("exit 10", 1), ("exit 1", 0), ("kill -SEGV $$", 0)])
def test_ten_alone_is_one_and_only_in_the_prolog(name: str, ending: str, code: int, tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{ending}\n")
    python.chmod(0o755)
    done = subprocess.run([script(name, tmp_path, str(python))], capture_output=True, timeout=60, check=False)
    assert done.returncode == (code if name == "prolog" else 0)


@pytest.mark.parametrize("name", HOOKS)
def test_a_python_that_is_gone_is_0(name: str, tmp_path: Path) -> None:
    done = subprocess.run([script(name, tmp_path, "/no/python3")], capture_output=True, timeout=60, check=False)
    assert done.returncode == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone may become a user who may have one process")
@pytest.mark.parametrize(("name", "shell"), SHELLS)
def test_a_shell_that_cannot_fork_is_0(name: str, shell: str, tmp_path: Path) -> None:
    for above in tmp_path.parents:
        if above.stat().st_uid == os.geteuid() and above != Path("/") and above != Path("/tmp"):
            above.chmod(above.stat().st_mode | 0o011)  # pytest's own directories are its user's alone
    path = script(name, tmp_path, "/bin/true")

    def alone() -> None:
        os.setgroups([])
        os.setresgid(LONER, LONER, LONER)
        resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
        os.setresuid(LONER, LONER, LONER)

    command = [shutil.which(shell) or shell, str(path)]
    done = subprocess.run(command, preexec_fn=alone, capture_output=True, text=True, timeout=60, check=False)
    assert "fork" in done.stderr or name == "taskprolog"
    assert done.returncode == 0
