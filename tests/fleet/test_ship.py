"""`preflight ship` against a collector: what is not the token's stays in the queue, and holds nothing else up."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet import samples
from fleet.collector import Collector, Node
from preflight.fleet import tokens
from preflight.fleet.ship.send import ShipError, Shipper
from preflight.fleet.store.open import open_store
from preflight.report import queue


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    made = Collector(f"sqlite:///{tmp_path}/fleet.db")
    yield made
    made.kill()


def waiting(node: Node) -> list[bytes]:
    return [Path(one).read_bytes() for one in queue.waiting(node.spool)]


def test_reports_of_another_cluster_wait_for_their_token(collector: Collector, tmp_path: Path) -> None:
    with_store = open_store(collector.store_url)
    token, wide = (tokens.make(with_store, cluster, "n1") for cluster in (samples.CLUSTER, ""))
    with_store.close()
    node = Node(tmp_path / "spool", token)
    mine = [samples.report("n1", samples.START + at, job=at + 1) for at in range(3)]
    others = [samples.report("n1", samples.START + at, phase="health", cluster="") for at in range(30)]
    for raw in (others[0], mine[0], *others[1:], b"\n", b"{}\n", *mine[1:]):
        node.record(raw)
    shipper = Shipper(collector.start().url, token)
    for _ in range(2):  # the second time there is nothing else
        with pytest.raises(ShipError, match="a report of cluster '', the token is of 'lab': needs"):
            shipper.drain(node.spool)
        assert waiting(node) == others
    assert Shipper(collector.url, wide).drain(node.spool) == (30, 0, ())
    assert waiting(node) == []
    collector.kill()
    store = open_store(collector.store_url)
    assert sorted(raw for day in store.days() for raw in store.frames(day)) == sorted([*mine, *others])
    store.close()
