"""What Tab offers in a shell, through the command as a shell calls it, and the pages that `man` shows."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def tab(tmp_path: Path) -> dict[str, str]:
    """The environment of a shell on a host of a cluster."""
    for name, text in (
        ("sinfo", 'case "$*" in *%N*) echo "n1\nn2\ngpu1";; *) echo "main\nmini";; esac'),
        ("squeue", "echo 17"),
    ):
        (tmp_path / name).write_text(f"#!/bin/sh\necho {name} >>{tmp_path}/calls\n{text}\n")
        (tmp_path / name).chmod(0o755)
    policy = tmp_path / "p.toml"
    policy.write_text(f'version = 1\nmode = "observe"\n[hook]\nslurm_bin = "{tmp_path}"\n')
    return {**os.environ, "PREFLIGHT_CONFIG": str(policy)}


def offered(tab: dict[str, str], words: str) -> list[str]:
    """Return what bash is told for a line whose cursor stands at its end."""
    parts = words.split(" ")
    asked = {"_PREFLIGHT_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(len(parts) - 1)}
    command = [sys.executable, "-m", "preflight"]
    done = subprocess.run(command, env={**tab, **asked}, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("preflight pub", ["plain,publish"]),
        ("preflight fleet dri", ["plain,drift"]),
        ("preflight checks gpu.fabric.h", ["plain,gpu.fabric.health"]),
        ("preflight publish --node n", ["plain,n1", "plain,n2"]),
        ("preflight plan -p m", ["plain,main", "plain,mini"]),
        ("preflight sbatch --nodelist = g", ["plain,gpu1"]),  # as bash cuts --nodelist=g
        ("preflight sbatch --ntasks-per-g", ["plain,--ntasks-per-gpu"]),
        ("preflight plan train", ["file,train"]),
        ("preflight check --config /e", ["file,/e"]),
        ("preflight why 1", ["plain,17"]),
    ],
)
def test_a_tab_offers_what_fits_there(tab: dict[str, str], words: str, wanted: list[str]) -> None:
    assert offered(tab, words) == wanted


def test_without_a_cluster_nothing_is_offered_and_nothing_said(tab: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "sinfo").write_text("#!/bin/sh\necho 'sinfo: error: down' >&2\nexit 1\n")
    assert offered(tab, "preflight plan -w n") == []
    Path(tab["PREFLIGHT_CONFIG"]).write_text("mode = 4\n")
    assert offered(tab, "preflight plan -w n") == []


def test_pages_and_completions_are_made_for_every_command(tab: dict[str, str], tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    subprocess.run([sys.executable, str(REPOSITORY / "scripts/manual"), str(tree)], check=True)
    pages = {
        path.name: gzip.decompress(path.read_bytes()).decode("ascii") for path in tree.glob("usr/share/man/man1/*")
    }
    assert {"preflight.1.gz", "preflight-install.1.gz", "preflight-fleet-status.1.gz", "preflight-plan.1.gz"} <= set(
        pages
    )
    assert r"\fB\-\-rollback\fR" in pages["preflight-install.1.gz"]
    assert r"\-\-infer=require" in pages["preflight-plan.1.gz"]
    if shutil.which("groff"):
        for name, text in pages.items():
            said = subprocess.run(
                ["groff", "-man", "-ww", "-Tutf8"], input=text, capture_output=True, text=True, check=True
            )
            assert said.stderr == "", name
    # The file that bash loads, in a bash.
    script = tree / "usr/share/bash-completion/completions/preflight"
    program = tmp_path / "preflight"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m preflight "$@"\n')
    program.chmod(0o755)
    words = "COMP_WORDS=(preflight checks gpu.fabric.h); COMP_CWORD=2"
    ask = f'. {script}; {words}; _preflight_completion preflight; echo "${{COMPREPLY[@]}}"'
    env = {**tab, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", ask], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["gpu.fabric.health"]
    assert "#compdef preflight" in (tree / "usr/share/zsh/vendor-completions/_preflight").read_text()
    assert "complete" in (tree / "usr/share/fish/vendor_completions.d/preflight.fish").read_text()
