"""Slurm's commands, by small stand-ins: what they print, how they fail, that none outlives the deadline."""

import os
import signal
import time
from pathlib import Path

import pytest

from preflight.slurm import commands
from preflight.slurm.commands import LIMIT, Slurm, SlurmError, find


class Stand:
    """A directory of stand-ins for Slurm's commands, each a shell script."""

    def __init__(self, place: Path) -> None:
        self.bin = place / "bin"
        self.bin.mkdir()

    def put(self, name: str, script: str, shell: str = "#!/bin/sh") -> None:
        path = self.bin / name
        path.write_text(f"{shell}\n{script}\n")
        path.chmod(0o755)

    def slurm(self, seconds: float = 30.0, each_s: float = 30.0, conf: str = "") -> Slurm:
        return Slurm(str(self.bin), conf, time.monotonic() + seconds, each_s)


@pytest.fixture
def stand(tmp_path: Path) -> Stand:
    return Stand(tmp_path)


def is_gone(pid: int) -> bool:
    """Return whether the process has ended; one that waits to be reaped by init has."""
    for _ in range(500):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.01)
    return False


def test_both_outputs_come_apart(stand: Stand) -> None:
    stand.put("squeue", "echo out; echo err >&2")
    assert stand.slurm().both("squeue") == ("out\n", "err\n")
    assert stand.slurm().run("squeue") == "out\n"


def test_arguments_arrive_one_by_one_and_through_no_shell(stand: Stand) -> None:
    stand.put("scontrol", 'for one in "$@"; do echo "[$one]"; done')
    hostile = ["update", "Reason=a b; $(touch x) `id` * 'q\" \n Requeue=0", ""]
    assert stand.slurm().run("scontrol", *hostile) == "".join(f"[{one}]\n" for one in hostile)


def test_the_environment_is_ours_alone(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_PRELOAD", "")
    monkeypatch.setenv("SLURM_CONF", "/job/s/slurm.conf")
    monkeypatch.setenv("PATH", "/job/s/bin:/usr/bin:/bin")
    stand.put("squeue", "cat /proc/self/environ | tr '\\0' '\\n' | sort")
    plain = {line for line in stand.slurm().run("squeue").split() if not line.startswith(("PWD=", "_=", "SHLVL="))}
    assert plain == {"LC_ALL=C", "PATH=/usr/bin:/bin", "SLURM_JSON=compact"}
    assert "SLURM_CONF=/site/slurm.conf" in stand.slurm(conf="/site/slurm.conf").run("squeue").split()


def test_no_descriptor_of_ours_is_inherited(stand: Stand) -> None:
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)
    os.set_inheritable(reader, False)
    try:
        stand.put("squeue", "exec /bin/ls -l /proc/self/fd")
        listed = [line for line in stand.slurm().run("squeue").splitlines() if "->" in line]
    finally:
        os.close(reader)
        os.close(writer)
    targets = {line.split()[8]: line.split("-> ")[1] for line in listed}
    assert targets["0"] == "/dev/null"
    assert targets["1"].startswith("pipe:")
    assert targets["1"] != targets["2"]


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("echo first >&2; echo slurm_update error: Invalid job id >&2; exit 1", "scontrol: slurm_update error: Inv"),
        ("exit 3", "scontrol: exit status 3"),
        ("echo on stdout; exit 1", "scontrol: exit status 1"),
        ("printf '\\377\\n' >&2; exit 1", "scontrol: \ufffd"),
    ],
)
def test_a_failure_is_its_last_line(stand: Stand, script: str, says: str) -> None:
    stand.put("scontrol", script)
    with pytest.raises(SlurmError) as caught:
        stand.slurm().run("scontrol")
    assert str(caught.value).startswith(says)
    assert "\n" not in str(caught.value)


def test_a_killed_command_is_a_failure(stand: Stand) -> None:
    stand.put("scontrol", "kill -9 $$")
    with pytest.raises(SlurmError, match="scontrol: exit status -9"):
        stand.slurm().run("scontrol")


def test_a_command_that_cannot_be_run_is_named(stand: Stand) -> None:
    stand.put("squeue", "", shell="#!/no/such/shell")
    with pytest.raises(SlurmError, match="squeue cannot be run: No such file"):
        stand.slurm().run("squeue")


def test_a_missing_command_says_where_it_was_looked_for(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SlurmError, match=r"not found in .*/bin: set slurm_bin"):
        find(str(stand.bin), "scontrol")
    monkeypatch.setattr(commands, "PLACES", ("/nowhere", str(stand.bin)))
    stand.put("scontrol", "")
    assert find("", "scontrol") == f"{stand.bin}/scontrol"


def test_a_chatty_command_neither_blocks_nor_fills_memory(stand: Stand) -> None:
    stand.put("squeue", "head -c 9000000 /dev/zero; head -c 9000000 /dev/zero >&2")
    out, errors = stand.slurm().both("squeue")
    assert LIMIT <= len(out) < 2 * LIMIT
    assert LIMIT <= len(errors) < 2 * LIMIT


HANG = "echo $$ > {pid}; trap '' TERM INT; while :; do sleep 60; done"


@pytest.mark.parametrize("silent", [True, False])
def test_a_hanging_command_is_ended_at_its_limit_with_all_its_children(stand: Stand, silent: bool) -> None:
    pid = stand.bin / "pid"
    closed = "exec >&- 2>&-; " if silent else ""  # with its outputs closed only waiting is left to hang
    stand.put("squeue", closed + "sleep 1000 & echo $! > " + f"{pid}.child; " + HANG.format(pid=pid))
    with pytest.raises(SlurmError, match="squeue did not end in time"):
        stand.slurm(each_s=0.5).run("squeue")
    assert is_gone(int(pid.read_text()))
    assert is_gone(int(Path(f"{pid}.child").read_text()))


def test_no_command_outlives_the_deadline(stand: Stand) -> None:
    pid = stand.bin / "pid"
    stand.put("squeue", HANG.format(pid=pid))
    with pytest.raises(SlurmError, match="did not end in time"):
        stand.slurm(seconds=0.5).run("squeue")
    assert is_gone(int(pid.read_text()))


def test_past_the_deadline_nothing_is_started(stand: Stand) -> None:
    stand.put("squeue", f"touch {stand.bin}/ran")
    with pytest.raises(SlurmError, match="no time left to run squeue"):
        stand.slurm(seconds=-1).run("squeue")
    assert not (stand.bin / "ran").exists()
    stand.slurm().run("squeue")
    assert (stand.bin / "ran").exists()


def test_a_child_that_keeps_the_pipe_cannot_hold_us(stand: Stand) -> None:
    pid = stand.bin / "pid"
    stand.put("squeue", f"setsid sleep 1000 & echo $! > {pid}; echo said")
    try:
        with pytest.raises(SlurmError, match="did not end in time"):
            stand.slurm(each_s=0.5).run("squeue")
    finally:
        os.kill(int(pid.read_text()), signal.SIGKILL)
