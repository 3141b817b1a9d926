"""A probe child: what it tells is kept, what hangs is named, and it always ends or is remembered."""

import json
import os
import signal
import time
from pathlib import Path

import pytest

from preflight.facts import board, isolate
from preflight.facts.isolate import Channel, Outcome, gather, run_child, start
from preflight.facts.stuck import StuckGuard, start_time

FOREVER = 600.0
LONG = 60.0


def test_messages_come_in_order() -> None:
    def function(channel: Channel) -> None:
        channel.tell({"n": 1})
        channel.doing("call")
        channel.tell({"n": 2})

    assert run_child("t", function, LONG)._replace(pace=None) == Outcome([{"n": 1}, {"n": 2}], True)


def test_a_hang_is_named_and_what_came_before_is_kept() -> None:
    def function(channel: Channel) -> None:
        channel.doing("gpu 2 nvmlFine")
        channel.tell({"gpu": 2})
        channel.doing("gpu 3 nvmlStuck")
        channel.tell({"half": "done"})
        time.sleep(FOREVER)

    outcome = run_child("t", function, 0.3)
    assert outcome._replace(pace=None) == Outcome([{"gpu": 2}, {"half": "done"}], False, "gpu 3 nvmlStuck")
    assert outcome.why() == "no answer at gpu 3 nvmlStuck before the deadline"


def test_a_child_that_ignores_sigterm_and_its_own_children_end(tmp_path: Path) -> None:
    def function(channel: Channel) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        grandchild = os.fork()
        if grandchild == 0:
            time.sleep(FOREVER)
            os._exit(0)
        channel.tell({"pids": [os.getpid(), grandchild]})
        channel.doing("hang")
        time.sleep(FOREVER)

    outcome = run_child("t", function, 0.3)
    assert outcome.abandoned_pid is None
    for pid in outcome.messages[0]["pids"]:
        limit = time.monotonic() + 30
        while start_time(pid) is not None and time.monotonic() < limit:
            time.sleep(0.01)
        assert start_time(pid) is None


def test_an_exception_is_told() -> None:
    def function(channel: Channel) -> None:
        channel.doing("parse")
        raise ValueError("bad")

    outcome = run_child("t", function, LONG)
    assert (outcome.finished, outcome.died, outcome.stuck_at) == (False, "ValueError: bad", "parse")


def test_a_crash_is_told_from_a_hang() -> None:
    def function(channel: Channel) -> None:
        channel.doing("nvmlInit")
        os.kill(os.getpid(), signal.SIGSEGV)

    outcome = run_child("t", function, LONG)
    assert outcome.died == "signal 11"
    assert outcome.why() == "probe ended at nvmlInit: signal 11"


def test_nothing_of_the_parents_is_left_in_the_child() -> None:
    spare = [os.open("/dev/null", os.O_RDONLY) for _ in range(5)]
    os.set_inheritable(spare[0], True)

    def function(channel: Channel) -> None:
        channel.tell({"fds": {name: os.readlink(f"/proc/self/fd/{name}") for name in ("0", "1", "2", "3")}})
        channel.tell({"open": [number for number in range(64) if _is_open(number)]})
        channel.tell(
            {"sid": os.getsid(0), "pid": os.getpid(), "alarm": signal.getsignal(signal.SIGALRM) is signal.SIG_DFL}
        )

    before = signal.signal(signal.SIGALRM, lambda *_: None)
    try:
        fds, opened, rest = run_child("t", function, LONG).messages
    finally:
        signal.signal(signal.SIGALRM, before)
        for descriptor in spare:
            os.close(descriptor)
    assert [fds["fds"][name] for name in "012"] == ["/dev/null"] * 3
    assert fds["fds"]["3"].startswith("pipe:")
    assert opened["open"] == [0, 1, 2, 3]
    assert rest["sid"] == rest["pid"]
    assert rest["alarm"]


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def test_more_than_a_pipe_holds_comes_through_while_another_hangs() -> None:
    def talks(channel: Channel) -> None:
        for number in range(300):
            channel.tell({"n": number, "text": "x" * 1000})
        channel.doing("last")

    def hangs(channel: Channel) -> None:
        channel.doing("hang")
        time.sleep(FOREVER)

    began = time.monotonic()
    hung, talked = gather([start("a", hangs), start("b", talks)], began + 1.0)
    assert (hung.finished, hung.stuck_at) == (False, "hang")
    assert talked.finished
    assert len(talked.messages) == 300


def test_a_flood_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    def function(channel: Channel) -> None:
        while True:
            channel.tell({"x": "y" * 1000})

    monkeypatch.setattr(board, "MAX_BYTES", 100_000)
    outcome = run_child("t", function, FOREVER)
    assert not outcome.finished
    assert outcome.messages


def test_a_garbled_line_ends_the_messages() -> None:
    def function(channel: Channel) -> None:
        channel.tell({"n": 1})
        channel._board.write(b'[1]\n{"n": 2}\n')

    assert run_child("t", function, LONG).messages == [{"n": 1}]


def test_a_child_that_nothing_ends_is_abandoned_and_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def function(channel: Channel) -> None:
        channel.doing("gpu 0 nvmlD")
        time.sleep(FOREVER)

    monkeypatch.setattr(isolate, "_kill", lambda pid: None)  # as SIGKILL does on a process in D state
    outcome = run_child("t", function, 0.2)
    assert outcome.abandoned_pid is not None
    guard = StuckGuard(str(tmp_path), "nvml")
    try:
        assert guard.stuck() is None
        guard.record(outcome)
        assert StuckGuard(str(tmp_path), "nvml").stuck() == f"pid {outcome.abandoned_pid} in gpu 0 nvmlD"
        assert StuckGuard(str(tmp_path), "files").stuck() is None
        assert os.stat(tmp_path / "stuck-nvml.json").st_mode & 0o777 == 0o600
    finally:
        os.kill(outcome.abandoned_pid, signal.SIGKILL)
        os.waitpid(outcome.abandoned_pid, 0)
    assert guard.stuck() is None
    assert not (tmp_path / "stuck-nvml.json").exists()


@pytest.mark.parametrize("change", [{"start": 1}, {"boot": "another"}, {"pid": "4"}, {"pid": -1}])
def test_a_number_that_another_process_got_is_not_the_stuck_one(tmp_path: Path, change: dict[str, object]) -> None:
    guard = StuckGuard(str(tmp_path), "nvml")
    guard.record(Outcome([], False, "x", os.getpid()))
    assert guard.stuck() == f"pid {os.getpid()} in x"
    place = tmp_path / "stuck-nvml.json"
    place.write_text(json.dumps({**json.loads(place.read_text()), **change}))
    assert guard.stuck() is None


def test_a_guard_without_a_directory_remembers_nothing(tmp_path: Path) -> None:
    for directory in (None, "/dev/null/run"):
        guard = StuckGuard(directory, "nvml")
        guard.record(Outcome([], False, "x", os.getpid()))
        assert guard.stuck() is None


def test_start_time_survives_a_name_with_brackets() -> None:
    pid = os.fork()
    if pid == 0:
        with open("/proc/self/comm", "w") as file:
            file.write(") S 1 (x")
        time.sleep(FOREVER)
        os._exit(0)
    try:
        plain = start_time(pid)
        time.sleep(0.05)
        assert start_time(pid) == plain
        assert plain is not None
        assert plain >= (start_time(os.getpid()) or 0)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        assert start_time(pid) is None  # a zombie is gone
        os.waitpid(pid, 0)
