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
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from fleet import reckoning, samples
from fleet.server import Postgres
from fleet.test_drains import story
from preflight.fleet.entry import EntryReader
from preflight.fleet.query import actions, jobs, status
from preflight.fleet.query.window import Window
from preflight.fleet.store import place, steps
from preflight.fleet.store.interface import Store, StoreError
from preflight.fleet.store.open import open_reader, open_store
from preflight.fleet.store.version import VERSION

ALWAYS = Window(round(samples.START * 1000), round((samples.START + 400 * samples.DAY_S) * 1000))
RELEASED = {
    1: ("89f18072871e7315", "de2e43f335c5802d"),
    2: ("cb46a6d14f2d9470", "b425fd70f15621b7"),
    3: ("0e67578dc7df16a4", "284e155f35a54a89"),
    4: ("df13fd680778d8d6", "80d80a9469380498"),
}
SHARED = (
    *("nodes", "checks", "profiles", "node_profiles", "node_software", "latest", "node_days", "hours", "durations"),
    *("check_days", "actions", "jobs", "tokens", "days"),
)


@pytest.fixture(scope="module")
def raws() -> list[bytes]:
    return [*samples.month(8, 4), *story(5)]


def fill(url: str, raws: list[bytes]) -> None:
    store, reader = open_store(url), EntryReader()
    store.add([reader.read(raw) for raw in raws])
    store.close()


@pytest.fixture
def first_sqlite(tmp_path: Path, raws: list[bytes]) -> str:
    """A store as version 1 left it: its tables, and the rows that it had."""
    fill(f"sqlite:///{tmp_path}/new.db", raws)
    with closing(sqlite3.connect(tmp_path / "fleet.db")) as old, old:
        for statement in steps.SQLITE[0]:
            old.execute(statement)
        old.execute("PRAGMA user_version=1")
        old.commit()
        old.execute("ATTACH ? AS new", (f"{tmp_path}/new.db",))
        for table in SHARED:
            columns = ", ".join(row[1] for row in old.execute(f"PRAGMA table_info({table})"))
            old.execute(f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM new.{table}")
    shutil.move(tmp_path / "new.db-days", tmp_path / "fleet.db-days")
    return f"sqlite:///{tmp_path}/fleet.db"


@pytest.fixture
def first_postgres(postgres: Postgres, raws: list[bytes]) -> Iterator[str]:
    with postgres.database() as url:
        fill(url, raws)
        with psycopg.connect(url) as old:
            for table in (
                "drains",
                "node_boots",
                "check_nodes",
                "check_totals",
                "readers",
                "totals",
                "events",
                "sinks",
            ):
                old.execute(f"DROP TABLE {table}")
            old.execute("ALTER TABLE check_days DROP CONSTRAINT check_days_pkey")
            old.execute("ALTER TABLE check_days ADD PRIMARY KEY (day, check_id, node, status, blame)")
            old.execute("ALTER TABLE jobs DROP CONSTRAINT jobs_pkey, ADD PRIMARY KEY (cluster, job)")
            old.execute("DROP INDEX jobs_array, actions_at")
            for index in ("actions_at ON actions (at_ms)", "node_days_day ON node_days (day)"):
                old.execute(f"CREATE INDEX {index}")
            old.execute("CREATE INDEX node_profiles_day ON node_profiles (day)")
            old.execute("UPDATE schema_version SET version = 1")
        yield url


@pytest.fixture(params=["first_sqlite", "first_postgres"])
def first(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue(request.param)
    return url


def test_a_store_of_the_first_version_answers_as_one_of_this(first: str, raws: list[bytes]) -> None:
    with pytest.raises(StoreError, match=r"the store is of schema 1, .*: start `preflight serve`"):
        open_reader(first)
    store, reports = open_store(first), reckoning.load(raws)
    found = [(one.node, one.begin_ms, one.end_ms, one.ended_by) for one in actions.drains(store, ALWAYS)]
    assert found == reckoning.drains(reports, *ALWAYS)
    failing = {(one.check, one.status): (one.nodes, one.runs) for one in status.failing(store, ALWAYS)}
    assert failing == reckoning.failing(reports, ALWAYS.days)
    known = {one.job: (one.user, one.reports) for one in jobs.jobs(store, ALWAYS, limit=100_000)}
    assert known == reckoning.jobs(reports, *ALWAYS)
    assert totals(store) == reckoning.totals(reports) - Counter(prologs(reports))
    reader = EntryReader()
    assert store.add([reader.read(raw) for raw in raws]) == 0
    more = samples.report("n1", samples.START + 300 * samples.DAY_S, job=77)
    assert store.add([reader.read(more)]) == 1
    store.close()
    open_reader(first).close()


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
