"""The rules of site-config/prometheus: each fires on troubles, none on a healthy month; Debian's Prometheus asks."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import urllib3
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families as parse

from fleet import generator, samples
from fleet.collector import Collector, free_port
from preflight.fleet.entry import EntryReader
from preflight.fleet.metrics.families import Registry, families
from preflight.fleet.metrics.gather import gather
from preflight.fleet.pages import access
from preflight.fleet.store.open import open_store
from preflight.hooks import textfile

RULES = Path(__file__).resolve().parents[2] / "site-config" / "prometheus" / "preflight.rules.yml"
pytestmark = pytest.mark.skipif(not shutil.which("promtool"), reason="no promtool")
NODES, DAYS, EACH_DAY = 12, 3, 96
STEP_S = 86_400 // EACH_DAY
HOUR = 3600 // STEP_S
END = samples.START + DAYS * samples.DAY_S
Series = dict[str, list[str]]


class Trouble(NamedTuple):
    """From one slot up to another, of which nodes, what."""

    first: int
    last: int
    nodes: range
    what: str


EVERY = range(1, NODES + 1)
TROUBLES = (
    Trouble(4, 10, range(1, 3), "fault"),  # two nodes of twelve: too many at once
    Trouble(10, 16, range(1, 3), "still"),
    Trouble(20, 22, range(3, 4), "breaker"),
    Trouble(40, 52, range(4, 8), "wrong"),
    Trouble(60, 68, range(5, 6), "unknown"),
    Trouble(60, 68, range(6, 9), "slow"),
    Trouble(90, 120, EVERY, "misfit"),
    Trouble(140, 170, range(9, 10), "silent"),
    Trouble(200, 220, EVERY, "silent"),
)


def troubled(slot: int, number: int) -> str:
    return next((one.what for one in TROUBLES if one.first <= slot < one.last and number in one.nodes), "ready")


def healthy(slot: int, number: int) -> str:
    return (
        "misfit"
        if (slot * NODES + number) % 40 == 0
        else "warm"
        if (slot + number) % 30 == 0
        else "epilog"
        if slot % 2
        else "ready"
    )


def recorded(place: Path, kind: Callable[[int, int], str], refused: Callable[[int], int]) -> Series:
    """Return every series of /metrics, a value a step, of a store that takes the reports as they come."""
    store, reader = open_store(f"sqlite:///{place}/fleet.db"), EntryReader()
    reports = [reader.read(raw) for raw in generator.month(NODES, DAYS, EACH_DAY, END, gpus=1, kind=kind)]
    found: Series = {}
    at = 0
    for step in range(DAYS * EACH_DAY):
        now = round(samples.START * 1000) + (step + 1) * STEP_S * 1000
        batch = [one for one in reports[at : at + NODES] if one.started_ms <= now]
        at += len(batch)
        store.add(batch)
        text = generate_latest(Registry(families(gather(store, now), {"refused": refused(step)}))).decode()
        for family in parse(text):
            for one in family.samples:
                value = one.value - samples.START if one.name.endswith("_timestamp_seconds") else one.value
                key = f"{one.name}{{{','.join(f'{name}={json.dumps(its)}' for name, its in one.labels.items())}}}"
                found.setdefault(key, ["_"] * step).append(f"{value:.12g}")
        for its in found.values():
            its += ["_"] * (step + 1 - len(its))
    assert at == len(reports)
    store.close()
    return found


def of_a_node(verdict: Callable[[int], str], ran: Callable[[int], bool]) -> Series:
    """Return the series of a health check's text file over time."""
    found: Series = {}
    last, name = 0.0, "ready"
    for step in range(DAYS * EACH_DAY):
        if ran(step):
            last, name = step * STEP_S, verdict(step)
        report: Any = {"cluster": "lab", "node": "n1", "phase": "health", "verdict": name, "counts": {}, "findings": []}
        for family in parse(textfile.content({**report, "duration_ms": 1.0}, last)):
            for one in family.samples:
                key = f"{one.name}{{{','.join(f'{label}={json.dumps(its)}' for label, its in one.labels.items())}}}"
                found.setdefault(key, []).append(f"{one.value:.12g}")
    return found


def alerts() -> list[str]:
    lines = [line.split() for line in RULES.read_text().splitlines()]
    return [words[2] for words in lines if words[:2] == ["-", "alert:"]]


def fired(place: Path, series: Series) -> set[str]:
    """Return the alerts that ever fired, as `promtool test rules` says: each is held never to."""
    steps = range(DAYS * EACH_DAY)
    tests = [
        {"eval_time": f"{step * STEP_S}s", "alertname": name, "exp_alerts": []} for name in alerts() for step in steps
    ]
    document = {
        "rule_files": [str(RULES)],
        "evaluation_interval": f"{STEP_S}s",
        # Else promtool takes them in any order, and a step is longer than what was recorded in the one before lasts.
        "group_eval_order": ["preflight-recorded", "preflight-fleet", "preflight-nodes"],
        "tests": [
            {
                "interval": f"{STEP_S}s",
                "input_series": [{"series": name, "values": " ".join(values)} for name, values in series.items()],
                "alert_rule_test": tests,
            }
        ],
    }
    (place / "test.json").write_text(json.dumps(document))  # JSON is YAML
    run = subprocess.run(
        ["promtool", "test", "rules", place / "test.json"], capture_output=True, text=True, check=False
    )
    assert (run.returncode == 0) == ("SUCCESS" in run.stdout), run.stderr
    return {name for name in alerts() if f"alertname: {name}," in run.stderr}


def test_the_rules_are_valid_and_each_says_what_to_do() -> None:
    subprocess.run(["promtool", "check", "rules", RULES], check=True, capture_output=True)
    text = RULES.read_text()
    assert len(alerts()) == len(set(alerts())) == text.count("summary:") == text.count("description:") >= 12


def test_each_fires_on_a_month_with_troubles(tmp_path: Path) -> None:
    series = recorded(tmp_path, troubled, lambda step: 3 if step > 100 else 0)
    series['up{job="preflight",instance="c"}'] = ["0" if 30 < step < 35 else "1" for step in range(DAYS * EACH_DAY)]
    series |= of_a_node(lambda step: "unhealthy" if step > 50 else "ready", lambda step: step < 200)
    assert fired(tmp_path, series) == set(alerts())


def test_none_fires_on_a_healthy_one(tmp_path: Path) -> None:
    series = recorded(tmp_path, healthy, lambda step: 0)
    series['up{job="preflight",instance="c"}'] = ["1"] * (DAYS * EACH_DAY)
    series |= of_a_node(lambda step: "degraded", lambda step: True)
    assert fired(tmp_path, series) == set()


def test_no_clock_hides_that_nothing_comes_and_a_new_name_ends_it(tmp_path: Path) -> None:
    steps, newest = DAYS * EACH_DAY, "preflight_newest_report_timestamp_seconds"
    runs = 'preflight_runs_total{cluster="lab",phase="health",verdict="%s",instance="%s"}'
    came = {runs % ("ready", one): [str(min(at, 50)) for at in range(steps)] for one in "ab"}
    ahead = {f'{newest}{{cluster="lab"}}': [str(at * STEP_S + 86_400) for at in range(steps)]}
    assert fired(tmp_path, {**came, **ahead}) == {"PreflightNoReports"}
    renamed = {f'{newest}{{cluster="lab"}}': [str(at * STEP_S) if at < 54 else "_" for at in range(steps)]}
    assert fired(tmp_path, {**came, **renamed}) == set()
    coming = {runs % ("ready", "a"): [str(at) for at in range(steps)]}
    behind = {f'{newest}{{cluster="lab"}}': ["-86400"] * steps}  # reports that come late, or a clock that stands
    assert fired(tmp_path, {**coming, **behind}) == set()
    first = {runs % ("ready", "a"): ["_"] * 100 + ["1"] * 3 + ["2"] * (steps - 103)}
    other = {runs % ("degraded", "a"): ["_"] * 104 + [str(at) for at in range(steps - 104)]}
    assert fired(tmp_path, {**first, **other, **ahead}) == set()


@pytest.mark.skipif(not shutil.which("prometheus"), reason="no Prometheus")
def test_prometheus_scrapes_the_collector(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/fleet.db"
    store = open_store(url)
    store.add([EntryReader().read(samples.report(f"n{at}", time.time() - at, at, gpus=1)) for at in range(1, 6)])
    token = access.make(store, "prometheus", "metrics")
    store.close()
    (tmp_path / "token").write_text(token)
    collector, port = Collector(url).start(), free_port()
    (tmp_path / "prometheus.yml").write_text(
        f"""global: {{ scrape_interval: 1s, evaluation_interval: 1s }}
rule_files: ["{RULES}"]
scrape_configs:
  - job_name: preflight
    authorization: {{ credentials_file: {tmp_path}/token }}
    static_configs: [{{ targets: ["127.0.0.1:{collector.port}"] }}]
"""
    )
    command = ["prometheus", f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/tsdb"]
    command += [f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)

    def ask(path: str, **fields: str) -> Any:
        try:
            answer = urllib3.request("GET", f"http://127.0.0.1:{port}/api/v1/{path}", fields=fields, retries=False)
        except urllib3.exceptions.HTTPError:
            return {}
        return answer.json()["data"] if answer.status == 200 else {}

    try:
        found: list[Any] = []
        while not found:
            assert process.poll() is None
            time.sleep(0.1)
            found = ask("query", query='preflight_nodes{verdict="ready"}').get("result", [])
        assert [(one["metric"]["cluster"], one["value"][1]) for one in found] == [(samples.CLUSTER, "5")]
        (target,) = ask("targets")["activeTargets"]
        assert (target["health"], target["lastError"]) == ("up", "")
        while True:
            rules = [rule for group in ask("rules")["groups"] for rule in group["rules"]]
            if all(rule["health"] != "unknown" for rule in rules):
                break
            time.sleep(0.1)
        assert {rule["health"] for rule in rules} == {"ok"}
    finally:
        process.terminate()
        process.wait()
        collector.kill()
