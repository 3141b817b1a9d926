"""A store of every earlier version becomes one of this, with the same answers; one of a later version is refused."""

import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from fleet import reckoning, samples
from fleet.server import Postgres
from fleet.test_drains import story
from preflight.fleet.entry import EntryReader
from preflight.fleet.query import actions, jobs, status, withheld
from preflight.fleet.query.window import Window
from preflight.fleet.store import place, steps
from preflight.fleet.store.interface import Store, StoreError
from preflight.fleet.store.open import open_reader, open_store
from preflight.fleet.store.schema import POSTGRES_DAY
from preflight.fleet.store.version import VERSION

ALWAYS = Window(round(samples.START * 1000), round((samples.START + 400 * samples.DAY_S) * 1000))
RELEASED = {
    1: ("89f18072871e7315", "de2e43f335c5802d"),
    2: ("cb46a6d14f2d9470", "b425fd70f15621b7"),
    3: ("0e67578dc7df16a4", "284e155f35a54a89"),
    4: ("df13fd680778d8d6", "80d80a9469380498"),
    5: ("7ff8a658772cb8fe", "0693d112f3576eb6"),
    6: ("70e8979f9fcf42ee", "d49558c66a8267ce"),
}


@pytest.fixture(scope="module")
def raws() -> list[bytes]:
    fault = samples.finding("gpu.ecc.uncorrected", "fail", "node", subject="gpu 1")
    sick = samples.report("sick", samples.START, phase="health", verdict="unhealthy", found=[fault], gpus=1)
    held = [
        samples.report(f"n{at % 3}", samples.START + 700 * at, phase="health", action=("drain", why, False), gpus=1)
        for at, why in enumerate(("drain breaker: 3 of 9", "drain breaker: Slurm is slow", "observe") * 6)
    ]
    return [*samples.month(8, 4), *story(5), *held, sick]


def fill(url: str, raws: list[bytes]) -> None:
    store, reader = open_store(url), EntryReader()
    store.add([reader.read(raw) for raw in raws])
    store.close()


EARLIER = range(1, VERSION)


def earlier_sqlite(place: Path, raws: list[bytes], version: int) -> str:
    """A store as an earlier version left it: its tables, and the rows that it had."""
    fill(f"sqlite:///{place}/new.db", raws)
    with closing(sqlite3.connect(place / "fleet.db")) as old, old:
        for step in steps.SQLITE[:version]:
            for statement in step:
                old.execute(statement)
        old.execute(f"PRAGMA user_version={version}")
        old.commit()
        old.execute("ATTACH ? AS new", (f"{place}/new.db",))
        for (table,) in old.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'").fetchall():
            columns = ", ".join(row[1] for row in old.execute(f"PRAGMA main.table_info({table})"))
            old.execute(f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM new.{table}")
    shutil.move(place / "new.db-days", place / "fleet.db-days")
    return f"sqlite:///{place}/fleet.db"


_COLUMNS = (
    "SELECT table_name, string_agg(column_name, ', ') FROM information_schema.columns WHERE table_schema = 'public'"
    " AND is_identity = 'NO' AND table_name !~ '_[0-9]+$' AND table_name <> 'schema_version' GROUP BY table_name"
)


@contextmanager
def earlier_postgres(server: Postgres, raws: list[bytes], version: int) -> Iterator[str]:
    with server.database() as new_url, server.database() as url:
        fill(new_url, raws)
        with psycopg.connect(new_url) as new, psycopg.connect(url) as old:
            old.execute("CREATE TABLE schema_version (version INTEGER NOT NULL)")
            old.execute("INSERT INTO schema_version VALUES (%s)", (version,))
            for step in steps.POSTGRES[:version]:
                for statement in step:
                    old.execute(statement)
            for (day,) in new.execute("SELECT DISTINCT day FROM reports").fetchall():
                for statement in POSTGRES_DAY:
                    old.execute(statement.format(day=day, next=day + 1))
            for table, columns in old.execute(_COLUMNS).fetchall():
                rows = new.execute(f"SELECT {columns} FROM {table}").fetchall()
                with old.cursor() as cursor:
                    marks = ", ".join(["%s"] * len(columns.split(", ")))
                    cursor.executemany(f"INSERT INTO {table} ({columns}) VALUES ({marks})", rows)
            old.execute("SELECT setval('reports_seq', (SELECT max(seq) FROM reports))")
        yield url


@pytest.fixture
def first_sqlite(tmp_path: Path, raws: list[bytes]) -> str:
    return earlier_sqlite(tmp_path, raws, 1)


@pytest.fixture
def first_postgres(postgres: Postgres, raws: list[bytes]) -> Iterator[str]:
    with earlier_postgres(postgres, raws, 1) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgres"])
def make_earlier(request: pytest.FixtureRequest, tmp_path: Path, raws: list[bytes]) -> Iterator[Callable[[int], str]]:
    """Returns the URL of a store as a version left it."""
    with ExitStack() as stack:

        def make(version: int) -> str:
            if request.param == "sqlite":
                return earlier_sqlite(tmp_path, raws, version)
            return stack.enter_context(earlier_postgres(request.getfixturevalue("postgres"), raws, version))

        yield make


@pytest.mark.parametrize("version", EARLIER)
def test_a_store_of_an_earlier_version_answers_as_one_of_this(
    make_earlier: Callable[[int], str], raws: list[bytes], version: int
) -> None:
    earlier, reader = make_earlier(version), EntryReader()
    with pytest.raises(StoreError, match=rf"the store is of schema {version}, .*: start `preflight serve`"):
        open_reader(earlier)
    store, reports = open_store(earlier), reckoning.load(raws)
    found = [(one.node, one.begin_ms, one.end_ms, one.ended_by) for one in actions.drains(store, ALWAYS)]
    assert found == reckoning.drains(reports, *ALWAYS)
    failing = {(one.check, one.status): (one.nodes, one.runs) for one in status.failing(store, ALWAYS)}
    assert failing == reckoning.failing(reports, ALWAYS.days)
    known = {one.job: (one.user, one.reports) for one in jobs.jobs(store, ALWAYS, limit=100_000)}
    assert known == reckoning.jobs(reports, *ALWAYS)
    undone = {(one.kind, one.check): (one.times, one.nodes, one.last_ms) for one in withheld.on_nodes(store, ALWAYS)}
    assert undone == reckoning.withheld(reports, *ALWAYS)
    assert undone
    assert withheld.trips(store, ALWAYS) == reckoning.totals(reports)["breaker", samples.CLUSTER, "", "", ""] == 6
    # What a version did not count is counted from the next report on.
    ever = reckoning.totals(reports) - (Counter(prologs(reports)) if version < 4 else Counter())
    if version < 4:  # that step took a slow controller for a trip
        ever["breaker", samples.CLUSTER, "", "", ""] += 6
    assert totals(store) == ever
    assert store.add([reader.read(raw) for raw in raws]) == 0
    later = samples.START + 300 * samples.DAY_S
    more = [samples.report(f"n{at}", later + at, phase="health", gpus=1) for at in range(9)]
    assert store.add([reader.read(raw) for raw in more]) == len(more)
    now = {one.node: (one.started_ms, one.verdict) for one in status.latest(store)}
    assert now == reckoning.latest(reckoning.load([*raws, *more]))
    store.close()
    open_reader(earlier).close()


def test_a_health_check_that_a_store_knew_stands_beside_later_reports(make_earlier: Callable[[int], str]) -> None:
    """Schema 4 kept the latest report of a node alone: where that was a health check, it is the latest one, too."""
    url = make_earlier(4)
    store, read = open_store(url), EntryReader().read
    expected = {one.node: one.failing for one in status.latest(store) if one.phase == "health" and one.failing}
    assert expected
    at = {one.node: one.started_ms / 1000 + 60 for one in status.latest(store)}
    store.add([read(samples.report(node, at[node], job=9, gpus=1)) for node in expected])
    assert {one.node: one.failing for one in status.latest(store) if one.node in expected} == expected
    store.close()


def totals(store: Store) -> Counter[tuple[str, ...]]:
    return Counter({tuple(key): runs for *key, runs in store.rows("SELECT name, cluster, a, b, c, runs FROM totals")})


def prologs(reports: list[dict[str, Any]]) -> Counter[tuple[str, ...]]:
    return Counter({key: runs for key, runs in reckoning.totals(reports).items() if key[0] == "prologs"})


def test_what_was_ever_counted_is_kept_with_the_reports(url: str, raws: list[bytes]) -> None:
    fill(url, raws)
    store = open_store(url)
    assert totals(store) == reckoning.totals(reckoning.load(raws))
    assert store.add([EntryReader().read(raws[0])]) == 0
    assert totals(store) == reckoning.totals(reckoning.load(raws))
    store.close()


def test_a_store_of_a_later_version_is_refused_in_one_line(url: str) -> None:
    open_store(url).close()
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as later:
            later.execute("PRAGMA user_version=99")
    else:
        with psycopg.connect(url) as later_server:
            later_server.execute("UPDATE schema_version SET version = 99")
    for opener in (open_store, open_reader):
        with pytest.raises(StoreError, match=r"^the store is of schema 99, .* upgrade Preflight here$"):
            opener(url)


def set_version(url: str, version: int) -> None:
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as its:
            its.execute(f"PRAGMA user_version={version}")
    else:
        with psycopg.connect(url) as server:
            server.execute("UPDATE schema_version SET version = %s", (version,))


def test_a_collector_takes_nothing_once_its_store_is_of_a_later_version(url: str, raws: list[bytes]) -> None:
    store = open_store(url)
    batch = [EntryReader().read(raw) for raw in raws[:10]]
    assert store.add(batch[:5]) == 5
    set_version(url, VERSION + 1)
    with pytest.raises(StoreError, match=rf"^the store is of schema {VERSION + 1}, "):
        store.add(batch)
    set_version(url, VERSION)
    assert store.add(batch) == 5
    store.close()


def test_a_store_that_an_earlier_collector_has_is_not_brought_forward(first_sqlite: str) -> None:
    lock = place.claim(first_sqlite)
    with pytest.raises(StoreError, match=r"start the collector anew first: .*another `preflight serve`"):
        open_store(first_sqlite)
    with closing(sqlite3.connect(first_sqlite.removeprefix("sqlite:///"))) as its:
        assert its.execute("PRAGMA user_version").fetchone() == (1,)
    open_store(first_sqlite, alone=True).close()
    assert lock is not None
    os.close(lock)


def test_a_second_serve_leaves_the_store_as_it_is(first_sqlite: str) -> None:
    lock = place.claim(first_sqlite)
    command = [sys.executable, "-m", "preflight", "serve", "--store", first_sqlite, "--listen", "127.0.0.1:1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, "another `preflight serve`" in done.stderr) == (2, True)
    with closing(sqlite3.connect(first_sqlite.removeprefix("sqlite:///"))) as its:
        assert its.execute("PRAGMA user_version").fetchone() == (1,)
    assert lock is not None
    os.close(lock)


def test_a_batch_that_is_under_way_is_counted_when_a_store_is_brought_forward(first_postgres: str) -> None:
    with psycopg.connect(first_postgres) as batch, psycopg.connect(first_postgres, autocommit=True) as watch:
        batch.execute("LOCK TABLE reports, findings IN ACCESS SHARE MODE")  # as collectors of every version begin
        batch.execute("INSERT INTO hours VALUES ('late', 1, 0, 0, 7)")
        opened = threading.Thread(target=lambda: open_store(first_postgres).close())
        opened.start()
        while opened.is_alive() and watch.execute("SELECT FROM pg_locks WHERE NOT granted").fetchone() is None:
            time.sleep(0.01)
        batch.commit()
        opened.join()
        late = watch.execute("SELECT runs FROM totals WHERE cluster = 'late' AND name = 'runs'").fetchone()
    assert late == (7,)


def test_a_released_step_is_never_edited() -> None:
    made = {at + 1: (_hash(steps.SQLITE[at]), _hash(steps.POSTGRES[at])) for at in range(len(steps.SQLITE))}
    assert made == RELEASED
    assert len(steps.SQLITE) == len(steps.POSTGRES) == VERSION


def _hash(step: list[str]) -> str:
    return hashlib.sha256("\n".join(step).encode()).hexdigest()[:16]


KILLED = """
import os, signal, sys
from preflight.fleet.store import drains
from preflight.fleet.store.open import open_store
drains.reckon_all = lambda ledger: os.kill(os.getpid(), signal.SIGKILL)
open_store(sys.argv[1])
"""


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_collector_killed_while_it_brings_a_store_forward_leaves_it_as_it_was(
    kind: str, request: pytest.FixtureRequest, raws: list[bytes]
) -> None:
    url = request.getfixturevalue(f"first_{kind}")
    killed = subprocess.run([sys.executable, "-c", KILLED, url], check=False)
    assert killed.returncode == -9
    with pytest.raises(StoreError, match=f"schema 1, this Preflight asks {VERSION}"):
        open_reader(url)
    store = open_store(url)
    assert store.rows("SELECT sum(runs) FROM totals WHERE name = 'runs'") == [(len(raws),)]
    assert sorted(raw for day in store.days() for raw in store.frames(day)) == sorted(raws)
    assert store.rows("SELECT count(*) FROM drains")[0][0] > 0
    store.close()
