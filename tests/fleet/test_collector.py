"""The collector's HTTP side: who may send what, what is bounded, and what an answer promises."""

import json
import re
import sys
from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from fleet import samples
from preflight.fleet import forget, tokens
from preflight.fleet.entry import EntryReader
from preflight.fleet.store import interface
from preflight.fleet.store.interface import Refused, Store, StoreError
from preflight.fleet.store.open import open_store
from preflight.fleet.web import app, batch
from preflight.fleet.web.limits import Limits

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PATH = "/api/v1/reports"


@pytest.fixture
def client(store: Store) -> Iterator[TestClient]:
    with TestClient(app.make_app(store)) as made:
        yield made


def headers(token: str, encoding: str = "zstd") -> dict[str, str]:
    return {"authorization": f"Bearer {token}", "content-encoding": encoding, "content-type": "application/x-ndjson"}


def send(client: TestClient, token: str, *raws: bytes) -> tuple[int, dict[str, object]]:
    answer = client.post(PATH, content=zstd.compress(b"".join(raws)), headers=headers(token))
    return answer.status_code, answer.json()


def quarantine(store: Store) -> list[tuple[str, str]]:
    return [(sender, reason) for sender, reason in store.rows("SELECT sender, reason FROM quarantine ORDER BY id")]


def test_a_batch_is_kept_byte_for_byte_and_once(client: TestClient, store: Store) -> None:
    token = tokens.make(store, samples.CLUSTER, "n1")
    raws = [samples.report("n1", samples.START + at, job=at + 1) for at in range(20)]
    assert send(client, token, *raws) == (200, {"accepted": 20, "refused": 0, "foreign": [], "reasons": []})
    assert send(client, token, *raws[:5])[0] == 200
    assert sorted(raw for day in store.days() for raw in store.frames(day)) == sorted(raws)
    health = client.get("/healthz").json()
    assert (health["status"], health["taken"], health["new"]) == ("ok", 25, 20)


STRANGE = ("", "Bearer", "Bearer ", "Bearer none", "Bearer null", "Bearer pf1_", f"Basic pf1_{'a' * 43}")


@pytest.mark.parametrize("header", [*STRANGE, f"Bearer pf1_{'a' * 43}"])
def test_without_a_token_of_ours_nothing_is_taken(client: TestClient, store: Store, header: str) -> None:
    tokens.make(store, samples.CLUSTER, "n1")
    its = {**headers("x"), "authorization": header}
    answer = client.post(PATH, content=zstd.compress(samples.report()), headers=its)
    assert answer.status_code == 401
    assert store.days() == []


def test_a_node_writes_only_its_own_reports(client: TestClient, store: Store) -> None:
    token = tokens.make(store, samples.CLUSTER, "n1")
    mine, other = samples.report("n1"), samples.report("n2")
    foreign = samples.report("n1", samples.START + 5, cluster="elsewhere")
    status, answer = send(client, token, mine, other, foreign)
    assert (status, answer["accepted"], answer["refused"], answer["foreign"]) == (200, 1, 2, [1, 2])
    assert [raw for day in store.days() for raw in store.frames(day)] == [mine]
    assert [reason for _, reason in quarantine(store)] == [
        "a report of node 'n2', the token is of 'n1'",
        "a report of cluster 'elsewhere', the token is of 'lab'",
    ]


def test_a_token_is_replaced_without_an_outage_and_ended_at_once(client: TestClient, store: Store) -> None:
    old = tokens.make(store, samples.CLUSTER, "n1")
    new = tokens.make(store, samples.CLUSTER, "n1")
    assert send(client, old, samples.report())[0] == 200
    assert send(client, new, samples.report())[0] == 200
    assert all(old.encode() not in hash_ for (hash_,) in store.rows("SELECT hash FROM tokens"))
    assert tokens.revoke(store, samples.CLUSTER, "n1") == 2
    fresh = app.Collector(store).tokens
    assert fresh.sender(f"Bearer {old}") is None
    assert fresh.sender(f"Bearer {new}") is None


def bomb() -> bytes:
    return zstd.compress(b"\0" * (batch.MAX_PLAIN + 1))


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (bomb(), 413, "decompressed larger than 32 MiB"),
        (b"no zstd at all", 400, "not zstd"),
        (zstd.compress(samples.report())[:-10], 400, "cut"),
        (zstd.compress(samples.report()) + b"tail", 400, "not zstd"),
        (zstd.compress(b"\n" * 2001), 413, "more than 2000 reports"),
        (b"x" * (batch.MAX_BODY + 1), 413, "a body larger than 8 MiB"),
        (zstd.compress(b"") * 800_000, 413, "more than 64 zstd frames"),  # minutes, if each was unpacked
    ],
    ids=["bomb", "no-zstd", "cut", "tail", "many", "large", "frames"],
)
def test_a_body_that_is_no_batch_costs_one_line(
    client: TestClient, store: Store, body: bytes, status: int, reason: str
) -> None:
    token = tokens.make(store, samples.CLUSTER, "n1")
    answer = client.post(PATH, content=body, headers=headers(token))
    assert answer.status_code == status
    assert reason in answer.json()["error"]
    assert len(quarantine(store)) == 1
    assert store.days() == []


def changed(before: str, after: str) -> bytes:
    """Return a report with a key's value replaced."""
    text, times = re.subn(before, after, samples.report().decode(), count=1)
    assert times == 1
    return text.encode()


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b'{"a": "' + b"x" * (4 << 20) + b'"}\n', "larger than 2 MiB"),
        (b"[" * 10_000 + b"\n", "Expected `object`"),
        (changed(r'"facts": ?{', '"facts":{"deep":' + "[" * 10_000 + "]" * 10_000 + ","), "nested too deeply"),
        (samples.report(at=4_070_908_800.0), "started 2099-01-01"),
        (samples.report(at=0.0), "started 1970-01-01"),
        (changed(r'"phase": ?"prolog"', '"phase":"later"'), "Invalid enum value 'later' - at `$.phase`"),
    ],
    ids=["4 MiB", "list", "nested", "2099", "1970", "schema"],
)
def test_a_report_that_is_none_costs_one_line_and_the_others_are_kept(
    client: TestClient, store: Store, raw: bytes, reason: str
) -> None:
    token = tokens.make(store, samples.CLUSTER, "n1")
    good = samples.report("n1", samples.START + 9)
    status, answer = send(client, token, raw, good)
    assert (status, answer["accepted"], answer["refused"]) == (200, 1, 1)
    lines = quarantine(store)
    assert len(lines) == 1
    assert lines[0][0] == "n1"
    assert reason in lines[0][1]
    assert [kept for day in store.days() for kept in store.frames(day)] == [good]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b'"550.54.15"', b'"550.\xff.15"'),
        (b'"started": "', b'"started": "9999-12-31T23:59:59-12:00", "was": "'),
        (b'"started":"', b'"started":"9999-12-31T23:59:59-12:00","was":"'),
        (b'"restart":null', b'"restart":2147483648'),
        (b'"restart": null', b'"restart": 2147483648'),
    ],
)
def test_whatever_a_report_holds_it_stops_no_queue(
    client: TestClient, store: Store, before: bytes, after: bytes
) -> None:
    token = tokens.make(store, samples.CLUSTER, "n1")
    sound = samples.report("n1", samples.START + 1, job=2)
    odd = samples.report("n1", samples.START, job=1).replace(before, after)
    status, said = send(client, token, odd, sound)
    assert status == 200
    assert int(str(said["accepted"])) + int(str(said["refused"])) == 2
    assert sound in [raw for day in store.days() for raw in store.frames(day)]


def test_long_names_of_software_are_cut(client: TestClient, store: Store) -> None:
    token = tokens.make(store, samples.CLUSTER, "n1")
    long = "".join(chr(33 + (at * 7919) % 90) for at in range(9000)).replace("\\", "x").replace('"', "y")
    raw = samples.report("n1", samples.START, job=1, policy=long)
    assert send(client, token, raw)[0] == 200
    ((kept,),) = store.rows("SELECT policy FROM node_software")
    assert 0 < len(kept) < 300


def test_health_tells_strangers_nothing_of_a_fault(
    client: TestClient, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> list[object]:
        raise StoreError("connection to 10.1.2.3 as preflight failed")

    monkeypatch.setattr(store, "rows", fails)
    answer = client.get("/healthz")
    assert answer.status_code == 503
    assert "10.1.2.3" not in answer.text


def test_plain_lines_are_taken_too_and_other_encodings_are_not(client: TestClient, store: Store) -> None:
    token = tokens.make(store, samples.CLUSTER, "n1")
    raw = samples.report().rstrip(b"\n")
    assert client.post(PATH, content=raw, headers=headers(token, "identity")).json()["accepted"] == 1
    assert store.raw(store.days()[0], store.rows("SELECT report FROM latest")[0][0]) == raw
    refused = client.post(PATH, content=raw, headers=headers(token, "br"))
    assert refused.json()["error"] == "Content-Encoding 'br' is not zstd"


def test_a_store_that_fails_is_no_promise(client: TestClient, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    token = tokens.make(store, samples.CLUSTER, "n1")

    def full(entries: object) -> int:
        raise StoreError("fleet.db: database or disk is full")

    monkeypatch.setattr(store, "add", full)
    answer = client.post(PATH, content=zstd.compress(samples.report()), headers=headers(token))
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"
    assert answer.json() == {"error": "fleet.db: database or disk is full"}
    monkeypatch.undo()
    assert send(client, token, samples.report())[0] == 200


def test_a_node_that_runs_wild_is_asked_to_wait() -> None:
    limits = Limits(rate=1.0, burst=10.0)
    assert limits.wait_s("n1") == 0
    limits.count("n1", 25)
    assert 14 < limits.wait_s("n1") <= 15
    assert limits.wait_s("n2") == 0
    limits = Limits()
    limits.count("n1", 150, 256 << 20)  # a full spool of large reports
    assert limits.wait_s("n1") == 0
    limits.count("n1", 150, 256 << 20)  # and as much again
    assert limits.wait_s("n1") > 300


def test_the_quarantine_is_bounded(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interface, "QUARANTINE", 5)
    for at in range(12):
        store.refuse([Refused(at, "n1", f"reason {at}", 3, b"abc")])
    assert [reason for _, reason in quarantine(store)] == [f"reason {at}" for at in range(7, 12)]


def test_two_stores_on_one_url_see_each_other(url: str) -> None:
    first, second = open_store(url), open_store(url)
    token = tokens.make(first, "", "n1")
    with TestClient(app.make_app(second)) as client:
        assert send(client, token, samples.report("n1", cluster="any"))[0] == 200
    assert first.rows("SELECT name FROM nodes") == [("n1",)]
    assert json.loads(next(iter(first.frames(first.days()[0]))))["cluster"] == "any"
    first.close()
    second.close()


def test_days_past_their_time_are_forgotten(store: Store) -> None:
    reader = EntryReader()
    store.add([reader.read(samples.report(at=samples.START + day * samples.DAY_S, job=day + 1)) for day in range(6)])
    today = round((samples.START + 5 * samples.DAY_S + 3600) * 1000)
    kept = store.days()
    assert forget.forget_days(store, 10, today) == 0
    assert forget.forget_days(store, 2, today) == 4
    assert store.days() == kept[-2:]
    assert store.rows("SELECT sum(runs) FROM hours") == [(6,)]
