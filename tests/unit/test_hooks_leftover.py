"""What outlives a job: waited for, and ended only where it is the job's and nobody else's. Real processes of a user."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from preflight.facts.stuck import start_time
from preflight.hooks import leftover
from preflight.hooks.leftover import Process, end, processes_of, wait_for
from preflight.slurm.commands import SlurmError
from preflight.slurm.environment import Job

UID = 200_000 + 2 * (os.getpid() % 10_000)  # of this test process alone: others may run beside it
JOB = Job(42, uid=UID)
PYTHON = os.path.realpath(sys._base_executable)  # type: ignore[attr-defined]  # .venv may be where no user may look
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(600)"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="starts processes of another user")


class Squeue:
    """Slurm, asked for the user's jobs on the node."""

    def __init__(self, answer: str | None = "42\n") -> None:
        self.answer, self.asked = answer, 0

    def run(self, *arguments: str) -> str:
        assert arguments == ("squeue", "-h", "-r", "-w", "n1", "-u", str(UID), "-o", "%A")
        self.asked += 1
        if self.answer is None:
            raise SlurmError("squeue did not end in time")
        return self.answer


@pytest.fixture
def started() -> Iterator[Any]:
    processes: list[subprocess.Popen[bytes]] = []

    def start(code: str = "print(flush=True); import time; time.sleep(600)", uid: int = UID) -> int:
        one = subprocess.Popen([PYTHON, "-I", "-S", "-c", code], user=uid, stdout=subprocess.PIPE, cwd="/")
        processes.append(one)
        assert one.stdout is not None
        one.stdout.readline()
        return one.pid

    start.reap = lambda: [one.poll() for one in processes]  # type: ignore[attr-defined]
    yield start
    for one in processes:
        one.kill()
        one.wait()


def whose(monkeypatch: pytest.MonkeyPatch, jobs: dict[int, int]) -> None:
    """Have control groups name the jobs of these processes."""
    monkeypatch.setattr(leftover, "job_of", lambda root, pid: jobs.get(pid))


def pids(found: list[Process]) -> dict[int, bool]:
    return {one.pid: one.sure for one in found}


def test_whose_a_process_is(started: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, others, loose, another = started(), started(), started(), started(uid=UID + 1)
    whose(monkeypatch, {ours: 42, others: 43, another: 42})
    assert pids(processes_of(JOB, 3600)) == {ours: True, loose: False}
    assert pids(processes_of(JOB, None)) == {ours: True}  # no prolog: nobody knows what began before the job
    time.sleep(0.2)
    assert pids(processes_of(JOB, 0.05)) == {ours: True}  # the other one is older than the job
    monkeypatch.setattr(leftover, "_in_session", lambda pid: True)
    assert pids(processes_of(JOB, 3600)) == {ours: True}
    for uid in (0, None):
        assert processes_of(JOB._replace(uid=uid), 3600) == []


def test_they_are_asked_to_end_and_then_made_to(started: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, stubborn, loose = started(), started(STUBBORN), started()
    whose(monkeypatch, {ours: 42, stubborn: 42})
    squeue = Squeue()
    ended, why = end(JOB, processes_of(JOB, 3600), squeue, "n1", 0.3)  # type: ignore[arg-type]
    assert (ended, why, squeue.asked) == (sorted([ours, stubborn, loose]), "", 1)
    assert sorted(started.reap()) == [-signal.SIGTERM, -signal.SIGTERM, -signal.SIGKILL]


@pytest.mark.parametrize(
    ("answer", "why"), [("42\n77\n", "another job on this node (77)"), (None, "is not known: squeue")]
)
def test_what_may_be_another_jobs_is_left(
    started: Any, monkeypatch: pytest.MonkeyPatch, answer: str | None, why: str
) -> None:
    ours, loose = started(), started()
    whose(monkeypatch, {ours: 42})
    ended, said = end(JOB, processes_of(JOB, 3600), Squeue(answer), "n1", 0.3)  # type: ignore[arg-type]
    assert ended == [ours]
    assert why in said
    assert start_time(loose) is not None


def test_slurm_is_not_asked_where_the_control_groups_say_it(started: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = started()
    whose(monkeypatch, {ours: 42})
    squeue = Squeue(None)
    assert end(JOB, processes_of(JOB, 3600), squeue, "n1", 1.0) == ([ours], "")  # type: ignore[arg-type]
    assert squeue.asked == 0


def test_a_number_that_is_another_process_is_not_signalled(started: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    one, moved = started(), started()
    whose(monkeypatch, {one: 42, moved: 43})
    start = start_time(one)
    assert start is not None
    found = [Process(one, start - 1, True), Process(moved, start_time(moved) or 0, True), Process(2**22 + 1, 1, True)]
    assert end(JOB, found, Squeue(), "n1", 0.1) == ([], "")  # type: ignore[arg-type]
    assert started.reap() == [None, None]


def test_waiting_ends_with_the_last_of_them(started: Any) -> None:
    short = started("print(flush=True); import time; time.sleep(0.2)")
    began = time.monotonic()
    assert wait_for([short], began + 60)
    assert time.monotonic() - began < 50
    assert not wait_for([started()], time.monotonic() + 0.1)
    assert not wait_for([], time.monotonic() + 60)
    assert wait_for([short], time.monotonic())  # gone before
