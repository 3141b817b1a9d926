"""The fleet's answers equal a slow, independent reckoning over the reports themselves, on both stores."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from fleet import reckoning, samples
from preflight.cli import fleet_nodes, fleet_text
from preflight.cli.fleet import fleet
from preflight.fleet.entry import EntryReader
from preflight.fleet.query import actions, drift, jobs, node, search, status, withheld
from preflight.fleet.query.window import Window, length, parse_window
from preflight.fleet.store.interface import Store
from preflight.fleet.store.open import open_store
from preflight.fleet.store.sqlite import SqliteStore
from preflight.report.model import VERDICTS

Reports = list[dict[str, Any]]
NODES, DAYS = 30, 10
# Not read as long as nobody asks: a worker that has collected this module forks for other tests, too.
BEGIN = round(samples.START * 1000)
END = BEGIN + DAYS * reckoning.DAY_MS
MIDDLE = Window(BEGIN + 3 * reckoning.DAY_MS + 12_345, BEGIN + 9 * reckoning.DAY_MS + 54_321)
WHOLE = Window(BEGIN, END)
OBSERVED = ("drain", "observe", False)
WINDOWED = ("jobs", "drains", "would")


@pytest.fixture(scope="module")
def raws() -> list[bytes]:
    return list(samples.month(NODES, DAYS))


@pytest.fixture(scope="module")
def reports(raws: list[bytes]) -> Reports:
    return reckoning.load(raws)


@pytest.fixture
def filled(store: Store, raws: list[bytes]) -> Store:
    reader = EntryReader()
    entries = [reader.read(raw) for raw in raws]
    order = entries[1::2] + entries[::2]  # as it comes from many shippers
    for begin in range(0, len(order), 400):
        store.add(order[begin : begin + 400])
    return store


@pytest.mark.parametrize("window", [WHOLE, MIDDLE], ids=["whole", "middle"])
def test_every_answer_equals_the_reckoning(filled: Store, reports: Reports, window: Window) -> None:
    now = {one.node: (one.started_ms, one.verdict) for one in status.latest(filled)}
    assert now == reckoning.latest(reports)
    found = actions.drains(filled, window)
    expected = reckoning.drains(reports, *window)
    assert [(one.node, one.begin_ms, one.end_ms, one.ended_by) for one in found] == expected
    assert expected
    failing = {(one.check, one.status): (one.nodes, one.runs) for one in status.failing(filled, window)}
    assert failing == reckoning.failing(reports, window.days)
    summary = status.summary(filled, window)
    runs = reckoning.verdicts(reports, window.hours)
    assert summary.runs == {word: sum(n for (_, its), n in runs.items() if its == word) for word in VERDICTS}
    assert summary.misfits == runs["prolog", "mismatch"]
    known = {one.job: (one.user, one.reports) for one in jobs.jobs(filled, window, limit=100_000)}
    assert known == reckoning.jobs(reports, *window)
    inside = [one for one in reports if window.begin_ms <= one["at"] < window.end_ms]
    expected_would = [(one["node"], one["at"]) for one in inside if not one["action"]["enforced"]]
    assert [(one.node, one.at_ms) for one in actions.would(filled, window)] == expected_would


HOUR = 3_600_000


BESIDE_HOURS = (
    WHOLE,
    MIDDLE,
    Window(BEGIN + 3 * HOUR + 12_345, BEGIN + 7 * HOUR + 54_321),
    Window(BEGIN + 5 * HOUR, BEGIN + 6 * HOUR),
    Window(BEGIN + 5 * HOUR + 900_000, BEGIN + 5 * HOUR + 2_000_000),
    Window(BEGIN + 5 * HOUR + 900_000, BEGIN + 6 * HOUR + 900_000),
    Window(END + HOUR, END + 9 * HOUR),
)


def test_what_was_not_done_is_counted_as_it_is_reckoned(filled: Store, raws: list[bytes]) -> None:
    bad = []
    for at in range(400):  # a bad policy for four hours, and a breaker that held back
        detail = ("drain breaker: 3 of 30 nodes", "drain breaker: Slurm is slow", "observe")[at % 3]
        action = ("drain", detail, False) if at % 5 else ("requeue", "observe", False)
        found = [samples.finding(f"bad.policy{at % 2}", "fail", "node")]
        when = samples.START + 4 * 3600 + at * 36
        bad.append(samples.report(f"n{at % 7}", when, phase="health", action=action, found=found, gpus=1, seed=at))
    filled.add([EntryReader().read(raw) for raw in bad])
    reports = reckoning.load([*raws, *bad])
    for window in BESIDE_HOURS:
        expected = reckoning.withheld(reports, *window)
        found_ = withheld.on_nodes(filled, window)
        assert {(one.kind, one.check): (one.times, one.nodes, one.last_ms) for one in found_} == expected
        causes = [(*one[:3], len(one.nodes), one.last_ms) for one in found_]
        assert [tuple(one) for one in withheld.by_cause(filled, window)] == causes
        assert withheld.number(filled, window) == sum(times for times, *_ in expected.values())
        assert sum(withheld.by_cluster(filled, window).values()) == withheld.number(filled, window)
        inside = [one["action"] for one in reports if window.begin_ms <= one["at"] < window.end_ms]
        held = [one for one in inside if one["kind"] == "drain" and not one["enforced"]]
        assert withheld.trips(filled, window) == sum("breaker: 3" in one["detail"] for one in held)
        assert bool(expected) == (window.begin_ms < END)


def test_what_was_not_done_ten_times_as_often_takes_no_more_to_count(tmp_path: Path) -> None:
    steps = []
    for each in (1, 10):
        store, read = SqliteStore(f"{tmp_path}/{each}.db"), EntryReader().read
        for minute in range(0, 600, 60):
            its = [
                samples.report(f"n{at % 5}", samples.START + minute * 60 + at, phase="health", gpus=1, action=OBSERVED)
                for at in range(5 * each)
            ]
            store.add([read(raw) for raw in its])
        store.rows("SELECT 1")
        made: list[int] = []
        store._reading_main().set_progress_handler(lambda made=made: made.append(1), 1)  # type: ignore[misc]
        (one,) = withheld.on_nodes(store, WHOLE)
        assert (one.times, len(one.nodes), withheld.number(store, WHOLE)) == (50 * each, 5, 50 * each)
        steps.append(len(made))
        store.close()
    assert steps[0] == steps[1]


def test_jobs_by_user_verdict_and_node(filled: Store, reports: Reports, raws: list[bytes]) -> None:
    mine = jobs.jobs(filled, WHOLE, user="user3", limit=100_000)
    reckoned = reckoning.jobs(reports, *WHOLE)
    assert {one.job for one in mine} == {job for job, (user, _) in reckoned.items() if user == "user3"}
    bad = jobs.jobs(filled, WHOLE, verdict="mismatch", limit=100_000)
    assert {one.job for one in bad} == {one["job"]["id"] for one in reports if one["verdict"] == "mismatch"}
    here = jobs.jobs(filled, MIDDLE, node=(samples.CLUSTER, "n5"), limit=100_000)
    assert {one.job for one in here} == {
        one["job"]["id"] for one in reports if one["node"] == "n5" and one["job"] and MIDDLE[0] <= one["at"] < MIDDLE[1]
    }
    job = bad[0].job
    assert sorted(jobs.raw_reports(filled, job)) == sorted(
        raw for raw, one in zip(raws, map(json.loads, raws)) if one["job"] and one["job"]["id"] == job
    )


@pytest.mark.parametrize(
    "more",
    [{}, {"user": "user3"}, {"verdict": "mismatch"}, {"nodes": [(samples.CLUSTER, "n5"), (samples.CLUSTER, "n6")]}],
    ids=["all", "user", "verdict", "nodes"],
)
def test_a_list_of_jobs_goes_on_where_it_was_whatever_comes(filled: Store, more: dict[str, Any]) -> None:
    wanted = search.Wanted(MIDDLE, **more)
    expected = search.page(filled, wanted, 100_000).jobs
    assert expected == sorted(expected, key=search.key, reverse=True)
    size = len(expected) // 4
    assert size > 3
    shown = [search.page(filled, wanted, size)]
    while shown[-1].after:
        later = MIDDLE.end_ms / 1000 - 60 + len(shown)
        new = samples.report("n5", later, job=900_000 + len(shown), user="user3", verdict="mismatch", gpus=1)
        assert filled.add([EntryReader().read(new)]) == 1
        shown.append(search.page_from(filled, wanted, size, search.key(shown[-1].jobs[-1])))
        assert shown[-1].before
    assert [job for its in shown for job in its.jobs] == expected
    back = search.page_from(filled, wanted, size, search.key(expected[-1]), back=True)
    assert (back.jobs, back.after) == (expected[-1 - size : -1], True)
    all_ = search.page(filled, wanted, 100_000).jobs
    assert len(all_) == len(expected) + len(shown) - 1
    begin = search.page_from(filled, wanted, 100_000, search.key(all_[5]), back=True)
    assert (begin.jobs, begin.before) == (all_[:5], False)
    by_number = search.page(filled, wanted, size, 2 * size)
    assert (by_number.jobs, by_number.before) == (all_[2 * size : 3 * size], True)


def test_a_page_far_down_the_list_of_jobs_takes_no_more_than_the_second(tmp_path: Path) -> None:
    store, read = SqliteStore(f"{tmp_path}/fleet.db"), EntryReader().read
    store.add([read(samples.report("n1", samples.START + at, job=at + 1, gpus=1)) for at in range(900)])
    for wanted in (search.Wanted(WHOLE), search.Wanted(WHOLE, user="alice"), search.Wanted(WHOLE, verdict="ready")):
        every, steps = search.page(store, wanted, 900).jobs, []
        for at, back in ((20, False), (800, False), (879, True), (100, True)):
            made: list[int] = []
            store._reading_main().set_progress_handler(lambda made=made: made.append(1), 1)  # type: ignore[misc]
            assert len(search.page_from(store, wanted, 20, search.key(every[at]), back).jobs) == 20
            steps.append(len(made))
        assert max(steps) < 1.3 * min(steps)
    store.close()


def test_drift_finds_the_node_with_the_older_driver(filled: Store, reports: Reports) -> None:
    found = {one.fact: one for one in drift.drift(filled)}
    values = reckoning.majority(reports, ("driver", "version"))
    assert found["driver.version"].nodes == ("n2",)
    assert {found["driver.version"].value} == {value for value, nodes in values.items() if "n2" in nodes}
    assert found["driver.version"].of == NODES
    assert found["driver.version"].since_ms == min(one["at"] for one in reports if one["node"] == "n2")


def test_a_nodes_history(filled: Store, reports: Reports) -> None:
    drained = reckoning.drains(reports, *WHOLE)[0][0]
    its = node.history(filled, samples.CLUSTER, drained, WHOLE)
    mine = [one for one in reports if one["node"] == drained]
    assert sum(sum(day.runs.values()) for day in its.days) == len(mine)
    expected = [one for one in reckoning.drains(reports, *WHOLE) if one[0] == drained]
    assert len(its.drains) == len(expected)
    down = sum((end or END) - begin for _, begin, end, _ in expected)
    assert its.availability == pytest.approx(1 - down / (END - mine[0]["at"]))
    assert its.boots == reckoning.boots(reports, drained)
    assert len(its.boots) >= 2
    changed = {(one.fact, one.before, one.after) for one in its.changes}
    assert ("driver.version", "550.54.15", "570.10.01") in changed
    with pytest.raises(LookupError):
        node.history(filled, samples.CLUSTER, "n999", WHOLE)


def test_the_commands_answer_in_text_and_json(url: str, raws: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(url)
    reader = EntryReader()
    store.add([reader.read(raw) for raw in raws])
    monkeypatch.setattr(fleet_text, "now_ms", lambda: END)
    run = CliRunner().invoke
    for words in ("status", "drift", "since 10d", "node n5", *(f"{one} --since 10d" for one in WINDOWED)):
        told = run(fleet, [*words.split(), "--store", url])
        assert told.exit_code == 0, told.output
        assert max(map(len, told.output.splitlines())) <= 80, told.output
        as_json = run(fleet, [*words.split(), "--store", url, "--json"])
        assert as_json.exit_code == 0
        assert json.loads(as_json.output)
    assert f"{NODES} nodes" in run(fleet, ["status", "--store", url]).output
    every = run(fleet, ["drains", "--since", "10d", "--store", url]).output.splitlines()
    latest = run(fleet, ["drains", "--since", "10d", "--limit", "2", "--store", url]).output.splitlines()
    shown = [line.split() for line in latest[1:-1]]
    assert shown == [line.split() for line in every[-2:]]
    assert latest[-1] == f"the latest 2 of {len(every) - 1}: --limit {len(every) - 1} or --json shows all"
    unknown = run(fleet, ["node", "n999", "--store", url])
    assert (unknown.exit_code, unknown.output) == (1, "Error: no report of node 'n999' is in the store\n")
    store.close()


@pytest.mark.parametrize("text", ["", "7", "d7", "0d", "7y", "-1d", "1.5h", "9999999d"])
def test_a_span_that_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="write 30m, 12h, 7d or 4w"):
        parse_window(text, END)


def test_lengths() -> None:
    assert [length(one * 60_000) for one in (5, 65, 3000)] == ["5 min", "1 h 05 min", "2 d 2 h"]


def test_a_fact_that_a_phase_does_not_read_has_neither_changed_nor_drifted(store: Store) -> None:
    """A prolog reads other facts than a health check: what is missing was not looked at."""
    read = EntryReader().read
    for at, name in enumerate(("n1", "n2", "n3", "n4")):
        whole = json.loads(samples.report(name, samples.START + at, job=at + 1, gpus=2))
        part = json.loads(samples.report(name, samples.START + 60 + at, job=at + 11, gpus=2))
        del part["facts"]["kernel"]
        again = json.loads(samples.report(name, samples.START + 120 + at, job=at + 21, gpus=2))
        for one in (whole, again):
            one["facts"]["kernel"]["release"] = "6.1.0" if name == "n4" and one is again else "5.15.0"
        last = (whole, part) if name == "n1" else (whole, part, again)
        store.add([read(json.dumps(one).encode()) for one in last])
    changed = node.history(store, samples.CLUSTER, "n4", WHOLE).changes
    assert [(one.fact, one.before, one.after) for one in changed] == [("kernel.release", "5.15.0", "6.1.0")]
    assert node.history(store, samples.CLUSTER, "n1", WHOLE).changes == []
    assert [(one.fact, one.value, one.nodes, one.of) for one in drift.drift(store)] == [
        ("kernel.release", "6.1.0", ("n4",), 3)
    ]


def test_a_nodes_history_names_its_recovery_and_the_evidence(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """``preflight fleet node``: the reboot, what became of it, where the evidence lies."""
    detail = "reboot for gpu.bus:gpu0; evidence: /var/spool/preflight/evidence/000001.n1.20261124T000000Z.gpu-bus"
    raw = samples.report(phase="health", verdict="unhealthy", action=("reboot", detail, True))
    store.add([EntryReader().read(raw)])
    monkeypatch.setattr(fleet_nodes, "asked", lambda url: store)
    monkeypatch.setattr(fleet_text, "now_ms", lambda: BEGIN + reckoning.DAY_MS)
    shown = CliRunner().invoke(fleet, ["node", "n1", "--store", "sqlite:////nowhere"]).output
    assert "evidence/000001.n1" in "".join(shown.split())
    assert "recovery:" in shown
    assert "other actions" not in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_a_command_imports_no_more_than_it_asks() -> None:
    """What is long to import costs each command more than its answer."""
    program = (
        "import sys; import preflight.cli.fleet_answers, preflight.cli.fleet_nodes, preflight.cli.fleet_text;"
        "import preflight.fleet.query.actions, preflight.fleet.query.status, preflight.fleet.query.names;"
        "import preflight.fleet.query.jobs, preflight.fleet.store.sqlite_reader;"
        "print(*({'json', 'msgspec', 'jinja2', 'asyncio', 'logging', 'psycopg', 'preflight.report.advice',"
        "'preflight.report.view', 'preflight.fleet.store.frames'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"
