"""Which of Slurm's commands `preflight sbatch` runs before it becomes sbatch: no more than tell something new."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from preflight.slurm.at_once import Begun
from preflight.slurm.conf_file import plain_in_file

NODES = (
    r"NodeName=n1 CoresPerSocket=1 {joint}CPUAlloc=0 CPUTot=4 CPULoad=0.1{joint}State=IDLE {joint}RealMemory=9 {joint}"
    "Partitions=p,q {joint}{end}"
)
CONF = "ClusterName=lab\nSlurmctldHost=h\n"


class Stand:
    """Slurm's commands as scripts that write what they were asked to ``calls``; ``slow`` seconds before scontrol."""

    def __init__(self, place: Path, conf: str = CONF, slow: float = 0) -> None:
        self.place, self.calls = place, place / "calls"
        self.conf = place / "slurm.conf"
        self.conf.write_text(conf)
        long, short = NODES.format(joint=r"\n   ", end=r"\n\n"), NODES.format(joint=" ", end=r"\n")
        self._program("sbatch", 'case "$1" in --help) ;; *) echo "$*" ;; esac')
        self._program(
            "scontrol",
            f'sleep {slow}; case "$*" in *"-o show node") printf "{short}" ;; *"show node") printf "{long}" ;; ping) ;;'
            r' *partition) printf "PartitionName=p\n   AllocNodes=ALL Default=YES QoS=N/A\n" ;;'
            ' *config) printf "ClusterName = lab\nCliFilterPlugins = (null)\n" ;; *) exit 1 ;; esac',
        )

    def _program(self, name: str, body: str) -> None:
        program = self.place / name
        program.write_text(f'#!/bin/sh\necho "{name} $*" >>{self.calls}\n{body}\n')
        program.chmod(0o755)

    def submit(self, *words: str, **environment: str) -> tuple[str, list[str]]:
        """Return what sbatch was given in the end, or what was said; and the other commands, sorted."""
        done = self.run(*words, **environment)
        assert done.returncode == 0, done.stderr
        lines = self.calls.read_text().splitlines()
        assert lines[-1] == f"sbatch {done.stdout.strip()}"
        return done.stderr, sorted(line for line in lines[:-1] if line != "scontrol ping")

    def run(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run `preflight sbatch` on these commands; ``calls`` is of this run."""
        given = {**os.environ, "PATH": f"{self.place}:/usr/bin:/bin", "SLURM_CONF": str(self.conf), **environment}
        given["PREFLIGHT_CONFIG"] = str(self.place / "policy.toml")
        (self.place / "policy.toml").write_text(f'version = 1\nmode = "observe"\n[hook]\nslurm_bin = "{self.place}"\n')
        self.calls.unlink(missing_ok=True)
        program = [sys.executable, "-m", "preflight", "sbatch", *words]
        return subprocess.run(program, env=given, capture_output=True, text=True, check=False)


NODE_FORMS = ["sbatch --help", "scontrol -a -o show node", "scontrol -a show node"]


def test_a_named_partition_leaves_three_questions(tmp_path: Path) -> None:
    asks = ["--comment=require: memory>=1K", "--wrap=true"]
    assert Stand(tmp_path).submit("-pq", *asks)[1] == NODE_FORMS
    assert Stand(tmp_path).submit(*asks, SBATCH_PARTITION="q")[1] == NODE_FORMS
    assert Stand(tmp_path).submit(*asks)[1] == sorted([*NODE_FORMS, "scontrol -a show partition"])


def test_a_guess_that_was_wrong_is_made_good(tmp_path: Path) -> None:
    """A word that looks like --partition and is another option's value, or the script's."""
    said, asked = Stand(tmp_path).submit("-J", "-plan", "--nodes=5", "--wrap=true")
    assert asked == sorted([*NODE_FORMS, "scontrol -a show partition"])
    assert "only 1 of the 5 nodes needed fit in p now" in said


def test_what_slurm_conf_does_not_say_plainly_the_controller_is_asked(tmp_path: Path) -> None:
    for conf in ("include other\n", "", 'ClusterName="lab"\n', "ClusterName=lab CliFilterPlugins=lua\n"):
        asked = Stand(tmp_path, conf).submit("-pp", "--wrap=true")[1]
        assert set(asked) == {*NODE_FORMS, "scontrol show config"}, conf


def test_a_cluster_that_is_slow_to_answer_is_pinged(tmp_path: Path) -> None:
    stand = Stand(tmp_path, slow=0.7)
    stand.submit("-pp", "--wrap=true")
    assert "scontrol ping" in stand.calls.read_text()


def test_without_a_controller_nothing_is_submitted_and_a_silent_one_is_left_to_sbatch(tmp_path: Path) -> None:
    stand = Stand(tmp_path)
    for ping, code, said in (
        ('echo "Slurmctld(primary) at h is DOWN"; exit 1', 1, "not submitted: no controller answers: "),
        ("exec sleep 60", 0, "not planned, so not placed by Preflight: slurmctld did not answer within "),
    ):
        stand._program("scontrol", f'[ "$*" != ping ] || {{ {ping}; }}; exec sleep 60')
        done = stand.run("-pp", "--wrap=true")
        assert (done.returncode, len(done.stderr.splitlines())) == (code, 1)
        assert done.stderr.startswith(f"preflight: {said}")
        assert done.stdout == ("" if code else "-pp --wrap=true\n")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("CliFilterPlugins=lua", "lua"),
        ("  clifilterplugins = cli_filter/lua,other  # why", "cli_filter/lua,other"),
        ("ClusterName=x", ""),
        ("# CliFilterPlugins=lua", ""),
        ("CliFilterPlugins=lua\nCliFilterPlugins=other", None),
        ("ClusterName=x CliFilterPlugins=lua", None),
        ("CliFilterPlugins=lua ClusterName=x", None),
        ("CliFilterPlugins=\\\nlua", None),
        ("CliFilterPlugins=", None),
        ("Include more.conf", None),
    ],
)
def test_a_setting_is_taken_from_the_file_where_it_stands_plainly(tmp_path: Path, text: str, value: str | None) -> None:
    path = tmp_path / "slurm.conf"
    path.write_text(f"{text}\n")
    assert plain_in_file(str(path), "CliFilterPlugins") == value
    assert plain_in_file(str(tmp_path / "none"), "CliFilterPlugins") is None


def test_what_answered_is_told_from_what_runs_or_failed() -> None:
    from threading import Event

    go = Event()
    begun = Begun(lambda: 1, go.wait)
    assert begun.answered(1, time.monotonic() + 60)
    assert not begun.answered(2, time.monotonic())
    go.set()
    assert begun.answered(2, time.monotonic() + 60)
    failed = Begun(lambda: 1, lambda: 1 // 0)
    assert not failed.answered(2, time.monotonic() + 60)
    assert failed.answered(1, time.monotonic() + 60)
