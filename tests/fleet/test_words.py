"""What a node may add for ever is bounded a day: profiles, and names that it makes up."""

from collections import Counter

import pytest
from starlette.testclient import TestClient

from fleet import samples
from fleet.test_collector import client as client
from fleet.test_collector import quarantine, send
from preflight.fleet import tokens
from preflight.fleet.entry import Entry, EntryReader, RefusedError
from preflight.fleet.keys import DAY_MS
from preflight.fleet.store.interface import Store, StoreError
from preflight.fleet.web import words
from preflight.fleet.web.words import Words

NOW = round(samples.START * 1000)


def named(node: str, check: str, at: int = 0) -> bytes:
    found = [samples.finding(check, "warn", "node")]
    return samples.report(node, samples.START + at, job=at + 1, found=found, gpus=1)


def read(raw: bytes) -> Entry:
    return EntryReader().read(raw)


def test_made_up_names_of_checks_cost_a_line_each_and_nobody_else(client: TestClient, store: Store) -> None:
    token, other = tokens.make(store, samples.CLUSTER, "n1"), tokens.make(store, samples.CLUSTER, "n2")
    raws = [named("n1", f"made.up{at}", at) for at in range(310)]
    status, said = send(client, token, *raws)
    assert (status, said["accepted"], said["refused"]) == (200, 300, 10)
    why = "more than 300 new names of checks a day from one node"
    assert Counter(quarantine(store)) == {("n1", why): 10}
    assert store.rows("SELECT count(*) FROM checks") == [(300,)]
    # What is known costs nothing, and another node's day is its own.
    assert (
        send(client, token, named("n1", "made.up7", 400), samples.report("n1", samples.START + 401, gpus=1))[1][
            "accepted"
        ]
        == 2
    )
    assert send(client, other, named("n2", "made.up305"), named("n2", "its.own", 1))[1]["accepted"] == 2
    assert send(client, token, named("n1", "made.up305", 402))[1]["accepted"] == 1
    assert send(client, token, named("n1", "made.up306", 403))[1]["accepted"] == 0


def test_the_next_day_is_another_and_the_store_remembers(store: Store) -> None:
    its = Words(store)
    for at in range(100):
        its.admit(read(samples.report(driver=f"550.{at}", gpus=1)), NOW)
    late = read(samples.report(driver="551.1", gpus=1))
    with pytest.raises(RefusedError, match="more than 100 new profiles a day from one node"):
        its.admit(late, NOW + 3_600_000)
    its.admit(late, NOW + DAY_MS)
    store.add([late])
    again = Words(store)  # a collector that was started anew
    again._added["n1", "profiles"] = 100
    again._day = NOW // DAY_MS
    again.admit(late, NOW)
    with pytest.raises(RefusedError):
        again.admit(read(samples.report(driver="551.2", gpus=1)), NOW)


def refusal(its: Words, raws: list[bytes]) -> tuple[int, str]:
    """How many are admitted before one is refused, and why."""
    for at, raw in enumerate(raws):
        try:
            its.admit(read(raw), NOW)
        except RefusedError as error:
            return at, str(error)
    return len(raws), ""


def test_large_profiles_are_bounded_by_their_bytes(store: Store) -> None:
    raws = [samples.report(driver=f"{at}" + "x" * 100_000, gpus=1) for at in range(12)]
    size = len(read(raws[0]).profile.text)
    expected = (1 << 20) // size, "more than 1,048,576 new bytes of profiles a day from one node"
    assert refusal(Words(store), raws) == expected


def test_made_up_clusters_and_partitions(store: Store) -> None:
    its = Words(store)
    clusters = [samples.report(cluster=f"c{at}", gpus=1) for at in range(5)]
    assert refusal(its, clusters) == (4, "more than 4 new names of clusters a day from one node")
    one = samples.report(cluster="c1", gpus=1)
    parts = [one.replace(b'"partition":"gpu"', b'"partition":"p%d"' % at) for at in range(210)]
    assert refusal(its, parts) == (196, "more than 200 new partitions a day from one node")  # four were "gpu"


def test_a_store_that_cannot_be_asked_blames_no_report(
    client: TestClient, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = tokens.make(store, samples.CLUSTER, "n1")
    assert send(client, token, samples.report("n1", gpus=1))[0] == 200

    def fails(self: Words, entry: Entry, now_ms: int) -> None:
        raise StoreError("fleet.db: disk I/O error")

    with monkeypatch.context() as patch:
        patch.setattr(words.Words, "admit", fails)
        assert send(client, token, named("n1", "new.one")) == (503, {"error": "fleet.db: disk I/O error"})
    assert quarantine(store) == []
    assert send(client, token, named("n1", "new.one"))[1]["accepted"] == 1
