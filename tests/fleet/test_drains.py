"""Drains are rows from the moment that reports come, in whatever order, in whatever batches, and however often."""

from __future__ import annotations

import json
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fleet import reckoning, samples
from fleet.server import Postgres, programs
from preflight.fleet.entry import EntryReader
from preflight.fleet.keys import LASTS_MS
from preflight.fleet.query import actions
from preflight.fleet.query.window import Window
from preflight.fleet.store import postgres
from preflight.fleet.store.interface import Store
from preflight.fleet.store.open import open_store

BEGIN = round(samples.START * 1000)
ALWAYS = Window(0, 1 << 50)
# Seconds between runs of a node: within the time in which a job may be on its way, some minutes, over days.
STEPS = (0.0, 0.001, 5.0, 19.999, 20.0, 20.001, 300.0, 40_000.0, 200_000.0)


WHAT = {
    "prolog": ("prolog", "none"),
    "epilog": ("epilog", "none"),
    "drain": ("prolog", "drain"),
    "drain in health": ("health", "drain"),
    "resume": ("health", "resume"),
    "observed": ("prolog", "drain"),
}


def story(seed: int, nodes: int = 3, runs: int = 30) -> list[bytes]:
    """Return reports of a few nodes to which everything happens at every distance."""
    chance = random.Random(seed)
    found = {}
    for node in range(nodes):
        at = samples.START + node
        for job in range(1, runs + 1):
            at += chance.choice(STEPS)
            kind = chance.choice(("prolog", *WHAT))
            phase, done = WHAT[kind]
            action = (done, f"preflight:gpu.lost:gpu {job}: gone", kind != "observed")
            raw = samples.report(f"n{node}", at, job=job, phase=phase, action=action, gpus=1, checks=1)
            found.setdefault(json.loads(raw)["id"], raw)  # of two health checks in one millisecond the first
    return list(found.values())


def kept(store: Store, window: Window = ALWAYS) -> list[tuple[str, int, int | None, str]]:
    return [(one.node, one.begin_ms, one.end_ms, one.ended_by) for one in actions.drains(store, window)]


@pytest.mark.parametrize("seed", range(4))
def test_drains_equal_the_reckoning_whatever_comes_first(store: Store, seed: int) -> None:
    raws = story(seed)
    reader, chance = EntryReader(), random.Random(seed)
    entries = [reader.read(raw) for raw in raws]
    order = sorted(entries, key=lambda one: one.started_ms + chance.uniform(0, 1e9 if seed % 2 else 1e5))
    taken = []
    while order:
        batch = [order.pop(0) for _ in range(min(len(order), chance.choice((1, 2, 7, 30))))]
        store.add(batch)
        store.add(batch[:2])  # its answer was lost
        taken += [one.raw for one in batch]
        if seed < 2:
            assert kept(store) == reckoning.drains(reckoning.load(taken), *ALWAYS)
    expected = reckoning.drains(reckoning.load(raws), *ALWAYS)
    assert kept(store) == expected
    assert {by for *_, by in expected} >= {"preflight", "others"}
    middle = Window(expected[2][1], expected[-2][1])
    assert kept(store, middle) == reckoning.drains(reckoning.load(raws), *middle)
    lasting = [(one.node, one.begin_ms) for one in actions.lasting(store, ALWAYS)]
    assert lasting == [(node, begin) for node, begin, end, _ in expected if end is None]
    assert sum(one.times for one in actions.drained_for(store, ALWAYS)) == len(expected)


@pytest.mark.parametrize("seed", range(4))
def test_what_slurm_said_ends_the_same_drains_whatever_comes_first(store: Store, tmp_path: Path, seed: int) -> None:
    """Slurm is asked now and then, by a clock that is minutes before or behind, and reports come late."""
    chance = random.Random(100 + seed)
    other = open_store(f"sqlite:///{tmp_path}/other.db")
    entries = [EntryReader().read(raw) for raw in story(100 + seed)]
    seen = []
    for entry in sorted(entries, key=lambda one: one.started_ms + chance.uniform(0, 1e6)):
        store.add([entry])
        if chance.random() < 0.3:
            sql = (
                "SELECT d.node, max(a.at_ms) FROM drains d JOIN actions a ON a.node = d.node AND a.kind = 'drain'"
                " AND a.enforced = 1 WHERE d.end_ms = ? GROUP BY d.node"
            )
            now = entry.started_ms + chance.choice((-300_000, 0, 300_000))
            its = [(node, last, now) for node, last in store.rows(sql, (LASTS_MS,))]
            store.resumed(its)
            assert not store.rows("SELECT 1 FROM drains WHERE end_ms = ?", (LASTS_MS,))
            seen += its
    assert len(seen) > 3
    chance.shuffle(seen)
    for one in seen[::2]:
        other.resumed([one])
    other.add(entries)
    other.resumed(seen)
    assert kept(store) == kept(other)
    by_node: dict[str, int] = {}
    for node, begin, end, _ in kept(store):
        assert begin >= by_node.get(node, 0)  # no drain begins in another
        by_node[node] = LASTS_MS if end is None else end
        assert by_node[node] > begin
    other.close()


def test_two_collectors_that_have_reports_of_one_node_at_once(url: str) -> None:
    stores = [open_store(url), open_store(url)]
    reader = EntryReader()
    raws = story(11, nodes=2)
    order = [reader.read(raw) for raw in raws]
    random.Random(3).shuffle(order)
    with ThreadPoolExecutor(2) as pool:
        shares = [order[at : at + 2] for at in range(0, len(order), 2)]
        list(pool.map(lambda at: stores[at % 2].add(shares[at]), range(len(shares))))
    assert kept(stores[0]) == reckoning.drains(reckoning.load(raws), *ALWAYS)
    for store in stores:
        store.close()


def test_a_drain_whose_day_was_forgotten_still_ends(store: Store) -> None:
    reader = EntryReader()
    drained = samples.report(at=samples.START, job=1, action=("drain", "preflight:a:b: c", True))
    store.add([reader.read(drained)])
    store.drop_day(store.days()[0])
    store.add([reader.read(samples.report(at=samples.START + 3 * samples.DAY_S, job=2))])
    assert kept(store) == [("n1", BEGIN, BEGIN + 3 * reckoning.DAY_MS, "others")]


@pytest.mark.skipif(programs() is None, reason="needs PostgreSQL")
def test_collectors_that_come_and_go_on_one_day_do_not_stop_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """A collector that has just begun looks whether the day's tables are there while others write to them."""
    monkeypatch.setattr(postgres, "TRIES", 1)
    raws = [samples.report(f"n{at}", samples.START + at, job=at + 1) for at in range(48)]

    def send(share: list[bytes]) -> None:
        reader = EntryReader()
        for raw in share:
            store = open_store(url)
            store.add([reader.read(raw)])
            store.close()

    with Postgres() as server, server.database() as url:
        open_store(url).close()
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(send, [raws[at::4] for at in range(4)]))
        store = open_store(url)
        assert sum(len(list(store.frames(day))) for day in store.days()) == len(raws)
        store.close()
