"""What goes wrong with the collector itself is no refusal: the report comes again, or is kept without what failed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from fleet import samples
from fleet.server import Postgres
from fleet.test_collector import quarantine, send
from preflight.fleet import tokens
from preflight.fleet.entry import Entry, EntryReader
from preflight.fleet.store.frames import Frames
from preflight.fleet.store.interface import Store
from preflight.fleet.store.open import open_store
from preflight.fleet.web import app

# A frame whose window is 8 MiB, decompressed where no more than 1 MiB is left.
LITTLE_MEMORY = """
import resource, sys
from preflight.fleet.web import batch
body = batch.zstd.compress(b"x" * (16 << 20), options={batch.zstd.CompressionParameter.window_log: 23})
assert len(batch.plain(body, "zstd")) == 16 << 20
pages = int(open("/proc/self/statm").read().split()[0])
resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + (1 << 20), resource.RLIM_INFINITY))
try:
    batch.plain(body, "zstd")
except batch.BatchError as error:
    sys.exit(f"refused: {error}")
except MemoryError as error:
    print("MemoryError", error)
"""


def no_memory(*arguments: object) -> Any:
    raise MemoryError


def reports(number: int) -> list[bytes]:
    return [samples.report(f"n{at % 5}", samples.START + at, job=at + 1, gpus=1, seed=at) for at in range(number)]


def kept(store: Store) -> list[bytes]:
    return [raw for day in store.days() for raw in store.frames(day)]


@pytest.mark.skipif(sys.platform != "linux", reason="a process's memory is bounded on Linux")
def test_a_body_for_which_there_is_too_little_memory_is_not_refused() -> None:
    its = subprocess.run([sys.executable, "-c", LITTLE_MEMORY], capture_output=True, text=True)
    assert (its.returncode, its.stdout[:11], its.stderr) == (0, "MemoryError", "")


def test_a_report_that_cannot_be_packed_ahead_is_kept(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    token = tokens.make(store, samples.CLUSTER, "n1")
    raw = samples.report("n1")
    with TestClient(app.make_app(store)) as client:
        monkeypatch.setattr(store, "pack", no_memory)
        assert send(client, token, raw) == (200, {"accepted": 1, "refused": 0, "foreign": [], "reasons": []})
    assert (kept(store), quarantine(store)) == ([raw], [])


@pytest.mark.parametrize("where", [(EntryReader, "read"), (Frames, "pack")], ids=["read", "packed"])
def test_without_memory_all_come_again(store: Store, monkeypatch: pytest.MonkeyPatch, where: tuple[type, str]) -> None:
    token = tokens.make(store, samples.CLUSTER, "n1")
    raw = samples.report("n1")
    with TestClient(app.make_app(store)) as client:
        with monkeypatch.context() as patch:
            patch.setattr(*where, no_memory)
            assert send(client, token, raw)[0] == 503
        assert (kept(store), quarantine(store)) == ([], [])
        assert send(client, token, raw)[0] == 200
    assert kept(store) == [raw]


def test_a_dictionary_that_the_database_lost_is_kept_with_the_next_reports(postgres: Postgres) -> None:
    raws = reports(300)
    entries: list[Entry] = [EntryReader().read(raw) for raw in raws]
    with postgres.database() as url:
        store = open_store(url)
        store.add(entries[:150])
        ahead = [store.pack(one) for one in entries[150:]]
        assert all(one.frame is not None and one.frame.number for one in ahead)
        store.write("DELETE FROM dictionaries WHERE number >= ?", [(0,)])
        assert store.add(ahead[:75]) == 75
        assert store.add([one._replace(frame=None) for one in ahead[75:]]) == 75
        other = open_store(url)
        assert sorted(kept(other)) == sorted(raws)
        for one in (store, other):
            one.close()


def test_dictionaries_name_no_user_node_or_job(url: str, tmp_path: Path) -> None:
    users = ["marlene", "ben", "x.ample"]
    numbers = [770_000 + at // 40 for at in range(240)]  # so many reports are of one job
    raws = [
        samples.report(
            f"gpu-{at % 4}7",
            samples.START + at,
            job=numbers[at],
            user=users[at % 3],
            found=[
                samples.finding("paths", "warn", "job", message=f"/home/{users[at % 3]}/venv_{users[at % 3]} is gone")
            ],
            gpus=1,
            seed=at,
        )
        for at in range(240)
    ]
    store = open_store(url)
    store.add([EntryReader().read(raw) for raw in raws[:120]])
    store.add([EntryReader().read(raw) for raw in raws[120:]])
    if url.startswith("sqlite"):
        contents = [row[0] for row in store._reading(store.days()[0]).execute("SELECT content FROM dictionaries")]  # type: ignore[attr-defined]
    else:
        contents = [bytes(row[0]) for row in store.rows("SELECT content FROM dictionaries")]
    assert contents
    assert all(b"partition" in one and b"is gone" in one for one in contents)  # what all have stays
    for content in contents:
        found = [
            name
            for name in (*users, *(f"gpu-{at}7" for at in range(4)), *map(str, set(numbers)))
            if name.encode() in content
        ]
        assert found == []
    assert sorted(kept(store)) == sorted(raws)
    store.close()
