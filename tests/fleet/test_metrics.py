"""/metrics: who may ask, that its numbers are the reports', and that no text of a report breaks it or makes it grow."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as prometheus
from starlette.testclient import TestClient

from fleet import reckoning, samples
from fleet.test_pages_access import SECRET, bearer, client_of, every_url, filled
from preflight.fleet import tokens
from preflight.fleet.entry import EntryReader
from preflight.fleet.keys import BUCKETS_MS
from preflight.fleet.metrics import gather, route
from preflight.fleet.pages import access
from preflight.fleet.pages.access import Access
from preflight.fleet.query import status
from preflight.fleet.store.interface import Store

__all__ = ["filled"]
HOSTILE = 'a"b\\c\nd{e="f"} \u202e \x1b[2J # HELP x'


@pytest.fixture(autouse=True)
def _whenever(monkeypatch: pytest.MonkeyPatch) -> None:
    """The samples are of one November, and a scrape is of now: no node of theirs is gone."""
    monkeypatch.setattr(gather, "GONE_MS", 1 << 60)


@pytest.fixture
def client(filled: Store) -> Iterator[TestClient]:
    with client_of(filled) as made:
        yield made


def scraped(store: Store, accept: str = "") -> str:
    headers = {**bearer(access.make(store, "prometheus", "metrics")), "accept": accept}
    with client_of(store) as client:
        answer = client.get("/metrics", headers=headers)
    assert answer.status_code == 200
    return answer.text


def series(text: str) -> dict[str, dict[tuple[str, ...], float]]:
    """Return name -> labels' values, in order of the labels' names -> value."""
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in prometheus(text):
        for one in family.samples:
            key = tuple(value for _, value in sorted(one.labels.items()))
            assert key not in found.setdefault(one.name, {}), one
            found[one.name][key] = one.value
    return found


def add(store: Store, raws: list[bytes]) -> None:
    store.add([EntryReader().read(raw) for raw in raws])


def test_only_an_admin_and_a_token_made_for_it_may_ask(client: TestClient, filled: Store) -> None:
    user, node = access.make(filled, "alice", "user"), tokens.make(filled, samples.CLUSTER, "n1")
    for headers in ({}, bearer(user), bearer(node), bearer(access.PREFIX + "a" * 43), {"cookie": f"x={user}"}):
        answer = client.get("/metrics", headers=headers)
        assert (answer.status_code, "preflight_" in answer.text) == (401, False)
    for role in ("admin", "metrics"):
        assert client.get("/metrics", headers=bearer(access.make(filled, "carol", role))).status_code == 200


def test_a_token_for_metrics_opens_nothing_else(client: TestClient, filled: Store) -> None:
    token = access.make(filled, "bob", "metrics")  # a user's name, whose jobs it must not show
    for headers in (bearer(token), {"cookie": f"{access.COOKIE}={token}"}):
        for url in every_url():
            assert client.get(url, headers=headers).status_code in (303, 401), url
    assert client.post("/login", content=f"token={token}").status_code == 401
    assert client.post("/api/v1/reports", headers=bearer(token), content=b"{}").status_code == 401


def test_the_numbers_are_those_of_the_reports(store: Store) -> None:
    raws = list(samples.month(8, 4))
    add(store, raws)
    reports, found = reckoning.load(raws), series(scraped(store))
    names = {"runs": "preflight_runs_total", "prologs": "preflight_prologs_total"}
    by_name: dict[str, Counter[tuple[str, ...]]] = {name: Counter() for name in names}
    for (name, cluster, a, b, _), runs in reckoning.totals(reports).items():
        if name in names:
            first = reckoning.PHASES[int(a)] if name == "runs" else a
            by_name[name][cluster, first, reckoning.VERDICTS[int(b)]] += runs
    for name, counted in by_name.items():
        assert found[names[name]] == counted
    findings = Counter(
        (row["blame"], row["check"], one["cluster"], row["status"])
        for one in reports
        for row in one["findings"]
        if row["status"] in reckoning.LOUD
    )
    assert found["preflight_findings_total"] == findings
    latest = Counter(verdict for _, verdict in reckoning.latest(reports).values())
    assert found["preflight_nodes"] == {(samples.CLUSTER, name): latest[name] for name in reckoning.VERDICTS}
    lasting = [one for one in reckoning.drains(reports, 0, 1 << 60) if one[2] is None]
    assert sum(found.get("preflight_nodes_drained", {}).values()) == len(lasting)
    slow = [one["duration_ms"] for one in reports if one["phase"] == "prolog"]
    buckets = {
        (samples.CLUSTER, f"{limit / 1000:g}", "prolog"): sum(one <= limit for one in slow) for limit in BUCKETS_MS
    }
    its = {key: n for key, n in found["preflight_hook_duration_seconds_bucket"].items() if key[2] == "prolog"}
    assert its == {**buckets, (samples.CLUSTER, "+Inf", "prolog"): len(slow)}


def test_no_job_and_no_user_is_in_it(filled: Store) -> None:
    text = scraped(filled)
    labels = {value for family in prometheus(text) for one in family.samples for value in one.labels.values()}
    assert labels & {"alice", "bob", "101", "202", "303", "n1", "n2"} == set()
    for word in ("alice", "bob", SECRET):
        assert word not in text
    assert set(series(text)["preflight_prologs_total"]) == {("lab", "gpu", "ready")}


def hostile(number: int, name: str) -> bytes:
    found = [samples.finding(name, "fail", "node", subject="gpu 1")]
    return samples.report(f"n{number}", samples.START + number, 7 + number, gpus=1, cluster=name, found=found, checks=1)


def test_what_a_report_names_cannot_break_it(store: Store) -> None:
    cut = ["x" * 130 + end for end in ("a", "b")]  # one label, once they are cut
    names = ["a\u202eb", "a\\u202eb", *cut]  # as well as these, which look alike once they are clean
    add(store, [hostile(at, name) for at, name in enumerate(name for name in names if name.isprintable())])
    found = [samples.finding(one, "fail", "node", subject="gpu 1") for one in (HOSTILE, *names)]
    raw = samples.report("h1", samples.START, 7, gpus=1, found=found)
    for given in (b": ", b":"):
        raw = raw.replace(b'"partition"' + given + b'"gpu"', b'"partition": "\\"\\n\\\\ {"')
    add(store, [raw])
    text = scraped(store)
    its = series(text)
    assert sum(its["preflight_findings_total"].values()) == 8
    assert sum(n for key, n in its["preflight_prologs_total"].items() if "{" in key[1]) == 1
    assert "\x1b" not in text
    assert "\u202e" not in text
    if shutil.which("promtool"):
        subprocess.run(["promtool", "check", "metrics"], input=text.encode(), check=True)


@pytest.mark.parametrize("end", ["\n", "\r", "\v", "\x1c", "\x85", "\u2028", "\u2029"])
def test_what_a_user_wrote_is_no_check_that_failed(store: Store, end: str) -> None:
    """Nodes of before this release send a requirement that nobody can read as it was written."""
    forged = [samples.finding(f"check{end}fail x", "warn", "job", subject=f"cuda>={end}fail gpu.ecc.uncorrected gpu0")]
    add(store, [samples.report("n1", samples.START, 7, gpus=1, found=forged, checks=1)])
    (line,) = status.latest(store)[0].failing
    assert line.startswith("warn check")
    assert line.endswith("gpu0")
    failing = series(scraped(store))["preflight_nodes_failing"]
    assert {key[-1] for key in failing} == {"warn"}
    assert sum(failing.values()) == 1


def test_many_warnings_hide_no_failure(store: Store) -> None:
    warned = [samples.finding("gpu.temperature", "warn", "node", subject=f"gpu {at}") for at in range(100)]
    others = [samples.finding(f"host.{at}", "warn", "node", subject="x") for at in range(25)]
    failed = samples.finding("gpu.ecc.uncorrected", "fail", "node", subject="gpu 7")
    add(store, [samples.report("n1", samples.START, 7, gpus=1, found=[*warned, *others, failed], checks=1)])
    failing = series(scraped(store))["preflight_nodes_failing"]
    assert failing["gpu.ecc.uncorrected", samples.CLUSTER, "fail"] == 1
    assert len(failing) == 27
    assert status.latest(store)[0].failing[0] == "fail gpu.ecc.uncorrected gpu 7"


def test_a_node_that_is_gone_counts_no_more(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    failed = [samples.finding("gpu.ecc.uncorrected", "fail", "node", subject="gpu 7")]
    reason, its = "preflight:gpu.ecc.uncorrected:gpu 7: 3", {"gpus": 1, "checks": 1, "found": failed}
    drain: Any = {"verdict": "unhealthy", "action": ("drain", reason, True), **its}
    add(store, [samples.report(name, samples.START, 7, **drain) for name in ("n1", "n2")])
    add(store, [samples.report("n3", samples.START, 8, cluster="old", **drain)])
    late = samples.START + 13 * samples.DAY_S
    add(store, [samples.report("n2", late, None, "health", "unhealthy", found=failed, gpus=1, checks=1)])
    ahead = samples.report("n4", late + 1.5 * samples.DAY_S, None, "health", gpus=1, checks=1)
    add(store, [ahead])
    now = round((late + samples.DAY_S) * 1000)
    before = gather.gather(store, now)
    assert (sum(before.nodes.values()), sum(before.silent.values()), sum(before.drained.values())) == (4, 3, 3)
    assert before.newest_ms == {(samples.CLUSTER,): round(late * 1000), ("old",): round(samples.START * 1000)}
    after = gather.gather(store, now + 1)
    assert {key: n for key, n in after.nodes.items() if n} == {
        (samples.CLUSTER, "unhealthy"): 1,
        (samples.CLUSTER, "ready"): 1,
    }
    assert after.silent == {(samples.CLUSTER,): 1}
    assert after.drained == {(samples.CLUSTER, "gpu.ecc.uncorrected"): 1}
    assert after.failing == {(samples.CLUSTER, "gpu.ecc.uncorrected", "fail"): 1}
    assert set(after.newest_ms) == {(samples.CLUSTER,)}
    assert after.runs == before.runs
    assert ("old", "prolog", "unhealthy") in after.runs


def test_a_node_that_invents_names_makes_it_no_longer(store: Store) -> None:
    found = [samples.finding(f"made.up{at}", "fail", "node", subject="x") for at in range(400)]
    add(store, [samples.report("n1", samples.START, 1, gpus=1, found=found, checks=1)])
    more = [samples.report("n2", samples.START + at, at + 1, gpus=1, cluster=f"c{at}", checks=1) for at in range(80)]
    add(store, more)
    its = series(scraped(store))
    assert len(its["preflight_findings_total"]) <= gather.MOST + 1
    assert sum(its["preflight_findings_total"].values()) == 400
    assert len({cluster for cluster, _ in its["preflight_nodes"]}) == gather.MOST_CLUSTERS + 1
    assert sum(its["preflight_nodes"].values()) == 81


def test_it_speaks_openmetrics_to_who_asks_for_it(filled: Store) -> None:
    text = scraped(filled, "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5")
    assert text.endswith("# EOF\n")
    families = {one.name: one for one in openmetrics(text)}
    assert families["preflight_runs"].type == "counter"
    assert "# EOF" not in scraped(filled, "text/plain")


class Counted:
    """A store that counts what it is asked."""

    def __init__(self, store: Store) -> None:
        self._store, self.asked = store, 0

    def rows(self, sql: str, args: Any = ()) -> list[tuple[Any, ...]]:
        self.asked += 1
        return self._store.rows(sql, args)


def test_a_scrape_costs_one_question_until_a_report_comes(filled: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    counted: Any = Counted(filled)
    metrics = route.Metrics(counted, Access(filled), dict)
    first = metrics.numbers()
    before = counted.asked
    assert metrics.numbers() is first
    assert counted.asked == before  # asked again at once: not even that
    monkeypatch.setattr(route, "FRESH_S", 0.0)
    assert metrics.numbers() is first
    assert counted.asked == before + 1
    add(filled, [samples.report("n9", time.time(), 909, gpus=1)])
    assert sum(metrics.numbers().runs.values()) == sum(first.runs.values()) + 1
    monkeypatch.setattr(route, "AGE_S", 0.0)
    again = metrics.numbers()
    assert metrics.numbers() is not again
