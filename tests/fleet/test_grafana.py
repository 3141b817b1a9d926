"""The dashboards for Grafana are as their script writes them; rules, panels and docs name metrics that there are."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from preflight.fleet.metrics import families
from preflight.hooks import textfile

ROOT = Path(__file__).resolve().parents[2]
PLACE = ROOT / "site-config" / "grafana"
RULES = ROOT / "site-config" / "prometheus" / "preflight.rules.yml"


def expressions() -> Iterator[str]:
    for path in sorted(PLACE.glob("*.json")):
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel["targets"]:
                yield target["expr"]


def metrics() -> set[str]:
    counted = {f"{name}_total" for name, *_ in families.COUNTERS}
    shown = {name for name, *_ in families.GAUGES} | {families.NEWEST, f"{families.DURATION}_bucket"}
    return counted | shown | set(textfile.HELP) | {"preflight_collector_reports_total", "preflight_build_info"}


def named(text: str) -> set[str]:
    return set(re.findall(r"\bpreflight_[a-z_]+(?=[{\[ )/])", text))


def test_the_checked_in_dashboards_are_what_the_script_writes() -> None:
    pytest.importorskip("grafana_foundation_sdk")
    spec = importlib.util.spec_from_file_location("dashboards", ROOT / "scripts" / "grafana_dashboards.py")
    assert spec is not None
    assert spec.loader is not None
    script: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert {path.name for path in PLACE.iterdir()} == set(script.DASHBOARDS)
    for name in script.DASHBOARDS:
        assert (PLACE / name).read_text() == script.text(name), f"run scripts/grafana_dashboards.py: {name}"


def test_a_panel_stands_beside_the_others() -> None:
    for path in PLACE.glob("*.json"):
        its = [panel["gridPos"] for panel in json.loads(path.read_text())["panels"]]
        cells = [
            (x, y)
            for one in its
            for x in range(one["x"], one["x"] + one["w"])
            for y in range(one["y"], one["y"] + one["h"])
        ]
        assert len(cells) == len(set(cells))
        assert max(x for x, _ in cells) < 24


@pytest.mark.skipif(not shutil.which("promtool"), reason="no promtool")
def test_every_expression_is_one_of_prometheus(tmp_path: Path) -> None:
    rules = [
        {"record": f"r{at}", "expr": one.replace("$__rate_interval", "5m")} for at, one in enumerate(expressions())
    ]
    assert len(rules) > 15
    (tmp_path / "rules.yml").write_text(json.dumps({"groups": [{"name": "g", "rules": rules}]}))
    subprocess.run(["promtool", "check", "rules", tmp_path / "rules.yml"], check=True, capture_output=True)


def test_rules_and_dashboards_ask_for_metrics_that_there_are() -> None:
    asked = named(" ".join(expressions())) | named(RULES.read_text())
    assert len(asked) > 10
    assert asked <= metrics()


def test_the_docs_name_every_metric() -> None:
    text = (ROOT / "docs" / "monitoring.md").read_text()
    assert [name for name in sorted(metrics()) if f"`{name.removesuffix('_bucket')}`" not in text] == []
