"""The store on both databases: each report once and byte for byte, and what is derived follows from the reports."""

import random
from collections import Counter

import pytest

from fleet import samples
from fleet.server import Postgres
from preflight.fleet.entry import Entry, EntryReader, RefusedError
from preflight.fleet.store.interface import Store
from preflight.fleet.store.open import open_reader, open_store
from preflight.report.model import VERDICTS

NOW = round((samples.START + 400 * samples.DAY_S) * 1000)


def entries(raws: list[bytes]) -> list[Entry]:
    reader = EntryReader()
    return [reader.read(raw, NOW) for raw in raws]


def kept(store: Store) -> list[bytes]:
    return [raw for day in store.days() for raw in store.frames(day)]


def test_each_report_is_kept_once_and_byte_for_byte(store: Store) -> None:
    raws = list(samples.month(12, 5))
    known = entries(raws)
    for begin in range(0, len(known), 50):
        batch = known[begin : begin + 50]
        assert store.add(batch) == len(batch)
        assert store.add(batch[:20] + batch[:3]) == 0
    assert sorted(kept(store)) == sorted(raws)
    one = known[7]
    assert store.raw(one.day, one.key) == one.raw
    assert store.raw(one.day, b"x" * 16) is None
    assert store.raw(1, one.key) is None


def test_a_batch_may_hold_a_report_twice_and_any_order(store: Store) -> None:
    raws = list(samples.month(5, 3))
    batch = entries(raws)
    assert store.add([*batch[::-1], *batch[:4]]) == len(raws)
    assert sorted(kept(store)) == sorted(raws)
    assert store.rows("SELECT sum(runs) FROM hours") == [(len(raws),)]


def test_what_is_derived_equals_a_count_over_the_reports(store: Store) -> None:
    known = entries(list(samples.month(12, 5)))
    for begin in range(0, len(known), 37):
        store.add(known[begin : begin + 37])
    hours = {
        (hour, verdict): runs
        for hour, verdict, runs in store.rows("SELECT hour, verdict, sum(runs) FROM hours GROUP BY hour, verdict")
    }
    assert hours == Counter((one.started_ms // 3_600_000, VERDICTS.index(one.verdict)) for one in known)
    latest = dict(store.rows("SELECT n.name, l.started_ms FROM latest l JOIN nodes n ON n.node = l.node"))
    newest: dict[str, int] = {}
    for one in known:
        newest[one.node] = max(one.started_ms, newest.get(one.node, 0))
    assert latest == newest
    sums = "SELECT d.day, c.name, sum(d.runs) FROM check_days d JOIN checks c ON c.check_id = d.check_id GROUP BY 1, 2"
    checks = {(day, name): runs for day, name, runs in store.rows(sums)}
    assert checks == Counter((one.day, loud.check) for one in known for loud in one.loud)
    jobs = store.rows("SELECT job, user_name, verdict, reports FROM jobs ORDER BY job")
    assert len(jobs) == len({one.job.id for one in known if one.job})
    actions = Counter(store.rows("SELECT kind, enforced FROM actions"))
    assert actions == Counter((one.action, int(one.enforced)) for one in known if one.action != "none")


def test_a_day_is_forgotten_whole(store: Store) -> None:
    known = entries(list(samples.month(4, 3)))
    store.add(known)
    first = store.days()[0]
    store.drop_day(first)
    assert first not in store.days()
    assert sorted(kept(store)) == sorted(one.raw for one in known if one.day != first)
    assert store.rows("SELECT sum(runs) FROM hours") == [(len(known),)]
    again = [one for one in known if one.day == first][:2]
    assert store.add(again) == 2


def test_a_second_opening_goes_on(url: str) -> None:
    known = entries(list(samples.month(6, 2)))
    half = len(known) // 2
    first = open_store(url)
    first.add(known[:half])
    first.close()
    second = open_store(url)
    second.add(known)
    assert sorted(kept(second)) == sorted(one.raw for one in known)
    assert second.rows("SELECT sum(runs) FROM node_days") == [(len(known),)]
    second.close()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"at": samples.START + 500 * samples.DAY_S}, "ahead of the collector's clock"),
        ({"at": 0.0}, "1970-01-01"),
        ({"cluster": "a\nb"}, "cluster is no name"),
    ],
)
def test_what_is_no_report_of_that_time_is_refused(change: dict[str, object], reason: str) -> None:
    with pytest.raises(RefusedError, match=reason):
        EntryReader().read(samples.report(**change), NOW)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "truncated"),
        (b"{}", "missing required field"),
        (b'{"format": 1}', "Expected"),
        (b"[" * 10_000, "."),
        (samples.report()[:-40], "truncated"),
        (samples.report().replace(b'"ready"', b'"great"'), "Invalid enum value"),
        (samples.report().replace(b'"n1"', b'"n2"'), "id is not of node"),
        (samples.report().replace(b"preflight.report/1", b"preflight.report/9"), "format is not"),
        (b" " * (5 << 20), "larger than 2 MiB"),
    ],
)
def test_what_is_no_report_is_refused_in_one_line(raw: bytes, reason: str) -> None:
    with pytest.raises(RefusedError, match=reason) as caught:
        EntryReader().read(raw, NOW)
    assert "\n" not in str(caught.value)


def test_a_text_with_a_nul_is_kept_and_stops_no_other(store: Store) -> None:
    raws = [samples.report(user="a\0b", job=5), samples.report("n2", job=6)]
    assert store.add(entries(raws)) == 2
    assert sorted(kept(store)) == sorted(raws)
    assert store.rows("SELECT user_name FROM jobs WHERE job = 5") == [("a?b",)]


def test_a_name_that_no_key_holds_is_cut_and_stops_no_other(store: Store) -> None:
    long = random.Random(1).randbytes(4000).hex()  # PostgreSQL packs what repeats itself
    raw = samples.report(user=long, job=5).replace(b'"partition":"gpu"', f'"partition":"{long}"'.encode())
    assert raw.count(long.encode()) == 2
    assert store.add(entries([raw, samples.report("n2", job=6)])) == 2
    assert raw in kept(store)
    assert store.rows("SELECT user_name, partition_name FROM jobs WHERE job = 5") == [(long[:200], long[:200])]


@pytest.mark.parametrize("number", [-1, 1 << 32, 1 << 70])
def test_a_number_that_no_column_holds_is_refused(number: int) -> None:
    with pytest.raises(RefusedError, match="a number that Slurm never gives"):
        EntryReader().read(samples.report(restart=number), NOW)


def test_a_report_that_was_packed_ahead_is_kept_whatever_became_of_its_day(url: str) -> None:
    store, other = open_store(url), open_store(url)
    at = samples.START
    known = entries([samples.report(f"n{one % 5}", at + one, job=one, gpus=1, seed=one) for one in range(400)])
    store.add(known[:150])
    store.add(known[150:200])  # now there is a dictionary on both
    ahead = [store.pack(one) for one in known[200:]]
    assert all(one.frame is not None and len(one.frame.content) < len(one.raw) / 4 for one in ahead)
    assert store.add(ahead[:100]) == 100
    for day in other.days():
        other.drop_day(day)
    assert store.add(ahead[100:]) == 100
    assert sorted(kept(other)) == sorted(one.raw for one in known[300:])
    for one in (store, other):
        one.close()


def test_of_two_reports_with_one_id_the_first_stays_and_clusters_share_no_id(store: Store) -> None:
    """Whatever a node sends again under an id it has used, nothing that is kept or counted changes."""
    first = samples.report("n1", samples.START, job=1)
    changed = first.replace(b'"ready"', b'"degraded"')
    elsewhere = samples.report("n1", samples.START, job=1, cluster="other")
    assert store.add(entries([first, changed, elsewhere])) == 2
    assert store.add(entries([changed])) == 0
    assert sorted(kept(store)) == sorted([first, elsewhere])
    assert store.rows("SELECT sum(runs) FROM hours WHERE verdict = ?", (VERDICTS.index("ready"),)) == [(2,)]


def test_postgresql_compiles_no_question(postgres: Postgres) -> None:
    with postgres.database() as url:
        for store in (open_store(url), open_reader(url)):
            assert store.rows("SHOW jit") == [("off",)]
            store.close()
