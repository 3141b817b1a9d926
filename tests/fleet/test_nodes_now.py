"""How the nodes are now: a health check stands beside later reports; who was resumed or forgotten counts not."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from fleet import samples
from fleet.test_metrics import series
from fleet.test_pages_access import bearer, client_of
from preflight.cli.fleet import fleet
from preflight.fleet import forget, tokens
from preflight.fleet.entry import EntryReader
from preflight.fleet.keys import DAY_MS
from preflight.fleet.pages import access, app
from preflight.fleet.pages.states import State, States, Watch, parse
from preflight.fleet.query import actions, drift, node, search, status, withheld
from preflight.fleet.query.window import Window
from preflight.fleet.store import sqlite_reader
from preflight.fleet.store.interface import Store
from preflight.fleet.store.open import open_store
from preflight.fleet.web.resumed import end_resumed
from preflight.slurm.commands import Slurm

ALWAYS = Window(0, 1 << 50)
FAULT = samples.finding("gpu.ecc.uncorrected", "fail", "node", subject="gpu 3")
WARM = samples.finding("gpu.temperature", "warn", "node", subject="gpu 0")
DRAIN = ("drain", "preflight:gpu.ecc.uncorrected:gpu 3: 3 uncorrected errors", True)
BREAKER = ("drain", "drain breaker: 3 of 9 nodes", False)
HOUR_S, MINUTE_S = 3600.0, 60.0


def add(store: Store, *raws: bytes) -> None:
    for raw in raws:
        assert store.add([EntryReader().read(raw)]) == 1


def sick(name: str, at: float, **other: Any) -> bytes:
    """Return the report of a health check that found a fault and, in observe mode, drained nothing."""
    return samples.report(name, at, phase="health", verdict="unhealthy", found=[FAULT], **other)


@pytest.mark.parametrize("turned", [False, True], ids=["in order", "late"])
def test_a_prolog_of_other_gpus_hides_no_fault_that_a_health_check_found(store: Store, turned: bool) -> None:
    now = time.time()
    raws = [
        sick("n1", now - 2 * HOUR_S),
        samples.report("n1", now - HOUR_S, job=7, verdict="degraded", found=[WARM]),
        sick("n2", now - 2 * HOUR_S),
        samples.report("n2", now - HOUR_S, phase="health"),  # mended
        samples.report("n2", now - HOUR_S + 1, job=8),
        sick("n3", now - 30 * HOUR_S),  # health checks have ended: it is not known any more
        samples.report("n3", now - HOUR_S, job=9),
    ]
    add(store, *(raws[::-1] if turned else raws))
    its = {one.node: (one.verdict, one.phase, one.failing) for one in status.latest(store)}
    assert its == {
        "n1": ("unhealthy", "prolog", ("fail gpu.ecc.uncorrected gpu 3", "warn gpu.temperature gpu 0")),
        "n2": ("ready", "prolog", ()),
        "n3": ("ready", "prolog", ()),
    }
    with client_of(store) as client:
        headers = bearer(access.make(store, "carol", "admin"))
        found = series(client.get("/metrics", headers=headers).text)
        page = client.get("/fleet?format=json", headers=headers).json()
    assert found["preflight_nodes"]["lab", "unhealthy"] == 1
    assert found["preflight_nodes"]["lab", "ready"] == 2
    assert found["preflight_nodes_failing"] == {
        ("gpu.ecc.uncorrected", "lab", "fail"): 1,
        ("gpu.temperature", "lab", "warn"): 1,
    }
    assert page["figures"]["verdicts"]["unhealthy"] == 1
    assert [row["nodes"] for row in page["tables"]["broken"]] == [["n1"]]


class Asked(Watch):
    """A Slurm whose answer is given."""

    def __init__(self, cluster: str, **nodes: str) -> None:
        super().__init__(lambda deadline: None, cluster)  # type: ignore[arg-type, return-value]
        self.times = 0
        self.now = States({name: State(word, "", "", None) for name, word in nodes.items()}, 0, "", cluster)

    def ask(self) -> States:
        self.times += 1
        return self.now


def test_a_drain_that_an_admin_ended_is_over_as_soon_as_slurm_says_so(store: Store) -> None:
    now = time.time()
    names = ("n1", "n2", "n3", "n4")
    add(store, *(samples.report(name, now - HOUR_S, job=3, verdict="unhealthy", action=DRAIN) for name in names))
    add(store, samples.report("n1", now - HOUR_S, job=3, verdict="unhealthy", action=DRAIN, cluster="other"))
    at = round(now * 1000)
    slurm = Asked("lab", n1="idle", n2="drained", n3="maint", n5="idle")
    assert end_resumed(store, slurm, at) == 1
    ended = [(one.cluster, one.node, one.end_ms, one.ended_by) for one in actions.drains(store, ALWAYS) if one.end_ms]
    assert ended == [("lab", "n1", at, "others")]
    assert end_resumed(store, slurm, at + 60_000) == 0
    # A report that comes late, of before and of after, changes nothing of it.
    add(store, samples.report("n1", now - 2 * HOUR_S, job=2), samples.report("n1", now + MINUTE_S, job=4))
    assert {one.cluster: one.end_ms for one in actions.drains(store, ALWAYS) if one.node == "n1"} == {
        "lab": at,
        "other": None,
    }
    # Drained again, it is drained again.
    add(store, samples.report("n1", now + HOUR_S, job=5, verdict="unhealthy", action=DRAIN))
    assert [one.end_ms for one in actions.drains(store, ALWAYS, node.number("lab", "n1"))] == [at, None]


class Meanwhile(Asked):
    """A Slurm in which something happens between its answer and the last word of it."""

    def __init__(self, what: Callable[[], None], **nodes: str) -> None:
        super().__init__("lab", **nodes)
        self._what = what

    def ask(self) -> States:
        self._what()
        return super().ask()


def spans(store: Store, begin_ms: int) -> list[tuple[int, int | None, str]]:
    """Return (begin, end, by) of the drains, in milliseconds from ``begin_ms``."""
    found = actions.drains(store, ALWAYS)
    return [
        (one.begin_ms - begin_ms, None if one.end_ms is None else one.end_ms - begin_ms, one.ended_by) for one in found
    ]


def drained(at: float, **more: Any) -> bytes:
    return samples.report("n1", at, verdict="unhealthy", action=DRAIN, **{"phase": "health", **more})


@pytest.mark.parametrize("phase", ["prolog", "health"])
def test_a_node_that_is_drained_again_while_slurm_is_asked_stays_drained(store: Store, phase: str) -> None:
    now = time.time()
    at = round(now * 1000)
    add(store, drained(now - 600), drained(now - 500))
    again = drained(now - 0.3, phase=phase, job=7)
    assert end_resumed(store, Meanwhile(lambda: add(store, again), n1="idle"), at) == 1
    end = at - 300  # a moment before the answer was whole
    assert spans(store, at) == [(-600_000, end - at, "others"), (-300, None, "")]
    assert [one.begin_ms for one in actions.lasting(store, ALWAYS)] == [end]
    assert end_resumed(store, Asked("lab", n1="drained"), at + 60_000) == 0
    assert end_resumed(store, Asked("lab", n1="idle"), at + 120_000) == 1
    assert spans(store, at)[1:] == [(-300, 120_000, "others")]


def test_a_node_whose_clock_is_behind_and_that_is_drained_again_stays_drained(store: Store) -> None:
    now = time.time()
    at = round(now * 1000)
    behind = 180.0
    add(store, drained(now - 60 - behind), drained(now - 30 - behind))
    assert end_resumed(store, Asked("lab", n1="idle"), at) == 1
    assert spans(store, at) == [(-240_000, 0, "others")]
    add(store, drained(now + 60 - behind))  # after Slurm was seen to give it jobs
    assert spans(store, at) == [(-240_000, -120_000, "others"), (-120_000, None, "")]
    add(store, drained(now + 90 - behind), drained(now - 45 - behind))  # one of the second drain, one of the first
    assert spans(store, at) == [(-240_000, -120_000, "others"), (-120_000, None, "")]
    add(store, samples.report("n1", now + 120 - behind, phase="health", action=("resume", "well", True)))
    assert spans(store, at) == [(-240_000, -120_000, "others"), (-120_000, -60_000, "preflight")]


def test_a_collectors_clock_that_is_behind_ends_no_drain_before_it_began(store: Store) -> None:
    now = time.time()
    at = round(now * 1000)
    add(store, drained(now + 100))
    assert end_resumed(store, Asked("lab", n1="idle"), at) == 1
    assert spans(store, at) == [(100_000, 100_001, "others")]


def test_slurm_is_asked_only_while_a_drain_lasts(store: Store) -> None:
    add(store, samples.report("n1", time.time(), job=3))
    slurm = Asked("lab", n1="idle")
    assert (end_resumed(store, slurm), slurm.times) == (0, 0)


@pytest.mark.parametrize(("known", "ended"), [("", 1), ("lab", 0)])
def test_a_report_that_names_no_cluster_is_of_the_asked_one_where_there_is_no_other(
    store: Store, known: str, ended: int
) -> None:
    now = time.time()
    add(store, samples.report("n1", now - HOUR_S, job=3, verdict="unhealthy", action=DRAIN, cluster=""))
    add(store, samples.report("n2", now - HOUR_S, job=4, cluster=known))
    assert end_resumed(store, Asked("lab", n1="idle")) == ended


def test_a_node_that_is_no_more_is_in_no_list_and_its_past_stays(url: str) -> None:
    store, now = open_store(url), time.time()
    for at, name in enumerate(("n1", "n2", "n3", "n4")):
        add(store, samples.report(name, now - 5 * HOUR_S + at, job=at + 1, driver="1" if name == "n4" else "2"))
    add(store, samples.report("n4", now - HOUR_S, job=9, verdict="unhealthy", action=DRAIN))
    own, shared = tokens.make(store, "lab", "n4"), tokens.make(store, "", "n4")
    add(store, samples.report("n1", now, job=5, cluster="other"))
    run = CliRunner().invoke
    several = run(fleet, ["forget", "n[1,4]", "--store", url])
    assert (several.exit_code, "n1: --cluster lab or other" in several.output) == (1, True)
    assert "'n7'" in run(fleet, ["forget", "n[4,7]", "--store", url]).output
    assert len(status.latest(store)) == 5  # of a list with a mistake nothing is forgotten
    done = run(fleet, ["forget", "n[3-4]", "--cluster", "lab", "--store", url])
    assert (done.exit_code, done.output) == (0, "n[3-4] forgotten: 2 nodes\n")
    assert [(one.cluster, one.node) for one in status.latest(store)] == [("lab", "n1"), ("lab", "n2"), ("other", "n1")]
    assert drift.drift(store) == []
    assert actions.lasting(store, ALWAYS) == []
    assert [one.node for one in actions.drains(store, ALWAYS)] == ["n4"]
    fresh = tokens.Tokens(store)
    assert [fresh.sender(f"Bearer {token}") for token in (own, shared)] == [None, None]
    add(store, samples.report("n4", now, job=11))
    assert [one.node for one in status.latest(store)].count("n4") == 1
    store.close()


def listed(store: Store) -> set[tuple[str, str]]:
    return {(one.cluster, one.node) for one in status.latest(store)}


def test_a_node_that_got_its_clusters_name_is_one_node(url: str) -> None:
    store, now = open_store(url), time.time()
    add(store, samples.report("n1", now - 5 * HOUR_S, job=1, cluster=""), samples.report("n1", now, job=2))
    add(store, samples.report("n2", now - 4 * HOUR_S, job=3, cluster=""), samples.report("n2", now, job=4))
    add(store, samples.report("n3", now - 50 * HOUR_S, job=5, cluster=""))
    found = CliRunner().invoke(fleet, ["node", "n1", "--store", url])
    assert (found.exit_code, 'n1: --cluster "" or lab' in found.output) == (1, True)
    for name, hours in (("n1", 4), ("n3", 49)):
        add(store, samples.report(name, now - hours * HOUR_S, phase="health", cluster="", action=BREAKER))
    assert forget.supersede(store) == 2
    assert (withheld.by_cluster(store, ALWAYS), withheld.trips(store, ALWAYS)) == ({("", "drain"): 2}, 2)
    (undone,) = withheld.on_nodes(store, Window(round((now - 24 * HOUR_S) * 1000), round((now + 1) * 1000)))
    assert (undone.times, undone.nodes) == (1, ("n1",))
    assert listed(store) == {("lab", "n1"), ("lab", "n2"), ("", "n3")}
    assert node.find(store, "n1") == [("lab", "n1")]  # the earlier one makes its name no less clear
    assert CliRunner().invoke(fleet, ["node", "n1", "--store", url]).exit_code == 0
    late = EntryReader().read(samples.report("n1", now - 6 * HOUR_S, job=9, cluster=""))  # it waited
    assert (store.add([late]), forget.supersede(store), forget.supersede(store)) == (1, 1, 0)
    assert [(one.cluster, one.reports) for one in search.by_number(store, 9)] == [("", 1)]
    forget.forget_nodes(store, [("lab", "n2")])
    assert node.find(store, "n2") == [("", "n2"), ("lab", "n2")]
    assert node.find(store, "n1", "") == [("", "n1")]  # its past is there
    store.close()


def test_who_got_a_name_is_asked_in_steps_that_grow_as_the_nodes_do(tmp_path: Path) -> None:
    def steps(nodes: int) -> int:
        store = open_store(f"sqlite:///{tmp_path}/{nodes}.db")
        now, read = time.time(), EntryReader().read
        for cluster, at in (("", now - 9 * HOUR_S), ("lab", now)):
            store.add([read(samples.report(f"n{one}", at, 1, gpus=1, cluster=cluster)) for one in range(nodes)])
        taken = [0]

        def step() -> None:
            taken[0] += 1

        store.rows("SELECT 1")
        store._reading_main().set_progress_handler(step, 20)  # type: ignore[attr-defined]
        assert forget.supersede(store) == nodes
        store.close()
        return taken[0]

    assert steps(160) < 7 * steps(40)


def test_a_job_whose_nodes_got_their_clusters_name_meanwhile_is_whole_on_its_page(store: Store) -> None:
    now = time.time()
    unnamed = [samples.report(name, now - 7 * HOUR_S, job=5, cluster="") for name in ("n1", "n2")]
    named = [samples.report(name, now, job=5, phase="epilog") for name in ("n1", "n3")]
    add(store, *unnamed, *named)
    add(store, samples.report("n1", now - 6 * HOUR_S, job=6, cluster="", user="alice"))  # Slurm counts anew
    add(store, samples.report("n1", now, job=6, user="bob"), samples.report("x1", now, job=5, cluster="other"))
    add(store, samples.report("n1", now - 40 * 24 * HOUR_S, job=7, cluster=""), samples.report("n1", now, job=7))
    assert forget.supersede(store) == 1
    with client_of(store) as client:
        headers = bearer(access.make(store, "carol", "admin"))

        def reports(query: str) -> int:
            return int(client.get(f"/job?{query}&format=json", headers=headers).json()["figures"]["reports"])

        found = [reports(query) for query in ("id=5&cluster=lab", "id=5", "id=5&cluster=", "id=6&cluster=lab", "id=6")]
        assert found == [4, 5, 2, 1, 2]
        assert [reports(query) for query in ("id=7&cluster=lab", "id=7")] == [1, 2]
    known = [one for number in (5, 6, 7) for one in search.by_number(store, number)]
    assert [len(list(search.reports_of(store, one, 99))) for one in known] == [one.reports for one in known]


@pytest.mark.parametrize("story", ["the cluster without a name has others", "there were two of that name"])
def test_a_dead_node_of_a_cluster_without_a_name_is_not_another_clusters(store: Store, story: str) -> None:
    now = time.time()
    if story == "there were two of that name":
        add(store, samples.report("n1", now - 6 * HOUR_S, job=1))
    else:
        add(store, samples.report("n2", now - HOUR_S, job=3, cluster=""))
    add(store, samples.report("n1", now - 5 * HOUR_S, job=1, cluster="", verdict="unhealthy", action=DRAIN))
    add(store, samples.report("n1", now, job=2))
    assert forget.supersede(store) == 0
    assert listed(store) >= {("", "n1"), ("lab", "n1")}
    assert [one.cluster for one in actions.lasting(store, ALWAYS)] == [""]


def test_out_is_counted_over_all_clusters(store: Store) -> None:
    now = time.time()
    add(store, samples.report("n1", now - HOUR_S, job=3, verdict="unhealthy", action=DRAIN))
    add(store, samples.report("m1", now - HOUR_S, job=3, verdict="unhealthy", action=DRAIN, cluster="other"))
    add(store, samples.report("m2", now - HOUR_S, job=4, cluster="other"))
    slurm = Asked("lab", n1="drained", n9="down")
    slurm._states = slurm.now
    slurm._asked = time.monotonic() + DAY_MS
    with client_of(store, app.Options(watch=slurm)) as client:
        headers = bearer(access.make(store, "carol", "admin"))
        page = client.get("/fleet?format=json", headers=headers).json()
    assert page["figures"]["out"] == 3
    assert sum(len(row["nodes"]) for row in page["tables"]["broken"]) == 3


def test_an_admins_reason_ends_no_line() -> None:
    text = "n1|drained|root|1795478400|disk \u2028 n2|idle||1795478400|\x0b none\x85 x\nn2|down|root|1795478400|y\n"
    assert {name: its.state for name, its in parse(text).items()} == {"n1": "drained", "n2": "down"}


def test_asking_waits_for_slurm_and_says_what_it_answers() -> None:
    def fails(deadline: float) -> Slurm:
        raise AssertionError("nobody answers")

    watch = Watch(fails, "lab")
    with pytest.raises(AssertionError):
        watch.ask()
    with pytest.raises(AssertionError):  # the one before has not kept the door shut
        watch.ask()
    assert Watch(None).ask().nodes == {}


def test_files_of_a_store_are_roots_alone_whatever_other_threads_do(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        with ThreadPoolExecutor(8) as pool:
            made = list(pool.map(lambda at: sqlite_reader.connect(f"{tmp_path}/{at % 40}.db"), range(160)))
            for at, one in enumerate(made):
                one.execute("CREATE TABLE IF NOT EXISTS t (x)") if at < 40 else None
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
            assert set(modes.values()) == {0o600}
            assert any(name.endswith("-wal") for name in modes)
            for one in made:
                one.close()
        assert os.umask(0o022) == 0o022  # it is the whole process's
    finally:
        os.umask(before)


def test_a_reader_makes_no_day(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/a?b%20#c.db")
    add(store, samples.report("n1", samples.START, job=1))
    day = store.days()[0]
    assert len(list(store.frames(day))) == 1
    assert list(store.frames(day + 1)) == []
    assert store.days() == [day]
    assert (tmp_path / "a?b%20#c.db").exists()
    store.close()
