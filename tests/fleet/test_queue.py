"""The spool's queue: numbered in order, bounded, and a report is forgotten only when it was taken."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from fleet import samples
from preflight.report import queue


def record(spool: Path, name: str, raw: bytes = b"{}\n") -> str:
    path = spool / name
    path.write_bytes(raw)
    return str(path)


def test_order_is_the_order_of_writing_whatever_the_clock_says(tmp_path: Path) -> None:
    for at in range(30):
        path = record(tmp_path, f"{at}.json", b"%d\n" % at)
        os.utime(path, (1000 - at, 1000 - at))
        queue.enqueue(str(tmp_path), path)
    assert [int(Path(one).read_bytes()) for one in queue.waiting(str(tmp_path))] == list(range(30))


@pytest.mark.parametrize("hint", [None, b"", b"garbage", b"1", b"-5", b"7" * 40])
def test_a_wrong_hint_costs_nothing(tmp_path: Path, hint: bytes | None) -> None:
    for at in range(150):
        queue.enqueue(str(tmp_path), record(tmp_path, f"{at}.json", b"%d\n" % at))
    place = tmp_path / "ship" / ".next"
    place.unlink() if hint is None else place.write_bytes(hint)
    queue.enqueue(str(tmp_path), record(tmp_path, "last.json", b"999\n"))
    assert [int(Path(one).read_bytes()) for one in queue.waiting(str(tmp_path))] == [*range(150), 999]


def test_hooks_at_once_take_different_numbers(tmp_path: Path) -> None:
    paths = [record(tmp_path, f"{at}.json") for at in range(64)]
    threads = [threading.Thread(target=queue.enqueue, args=(str(tmp_path), path)) for path in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(queue.waiting(str(tmp_path))) == 64


def test_the_record_may_be_pruned_meanwhile(tmp_path: Path) -> None:
    path = record(tmp_path, "one.json", b"kept\n")
    queue.enqueue(str(tmp_path), path)
    os.unlink(path)
    assert Path(queue.waiting(str(tmp_path))[0]).read_bytes() == b"kept\n"


def test_past_the_bound_the_oldest_healthy_go_first_and_are_counted(tmp_path: Path) -> None:
    spool = str(tmp_path)
    for at in range(20):
        verdict = "unhealthy" if at % 4 == 0 else "ready"
        queue.enqueue(spool, record(tmp_path, f"{at}.json", samples.report(f"n{at}", gpus=0, verdict=verdict)))
    assert queue.bound(spool, reports=10) == 10
    kept = [int(Path(one).stem) - 1 for one in queue.waiting(spool)]
    assert kept == [0, 4, 8, 12, 14, 15, 16, 17, 18, 19]
    assert queue.bound(spool, reports=3) == 7
    assert [int(Path(one).stem) - 1 for one in queue.waiting(spool)] == [8, 12, 16]
    assert queue.dropped_so_far(spool) == 17
    assert queue.bound(spool, size=1) == 3
    assert queue.waiting(spool) == []


def test_nothing_waits_where_nothing_was_queued(tmp_path: Path) -> None:
    assert queue.waiting(str(tmp_path)) == []
    assert queue.bound(str(tmp_path)) == 0
    assert queue.dropped_so_far(str(tmp_path)) == 0
