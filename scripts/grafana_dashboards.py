"""Writes the Grafana dashboards of site-config/grafana: run it after a change here, and commit what it wrote.

usage: .venv/bin/python scripts/grafana_dashboards.py [DIRECTORY]
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.builders.common import ReduceDataOptions, StackingConfig, VizLegendOptions
from grafana_foundation_sdk.builders.dashboard import Dashboard, DatasourceVariable, QueryVariable, ThresholdsConfig
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.builders.stat import Panel as Stat
from grafana_foundation_sdk.builders.table import Panel as Table
from grafana_foundation_sdk.builders.timeseries import Panel as Lines
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import LegendDisplayMode, LegendPlacement, StackingMode
from grafana_foundation_sdk.models.dashboard import DataSourceRef, GridPos, Threshold, ThresholdsMode, VariableRefresh

DURATION = "preflight_hook_duration_seconds_bucket"
RATE = "[$__rate_interval]"
PLACE = Path(__file__).resolve().parents[1] / "site-config" / "grafana"
SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
COLOURS = {"unhealthy": "red", "mismatch": "purple", "unknown": "blue", "degraded": "orange", "ready": "green"}


def _query(expr: str, legend: str = "", table: bool = False) -> Dataquery:
    its = Dataquery().expr(expr).legend_format(legend or "__auto").ref_id("A")
    return its.instant().format("table") if table else its.range()  # type: ignore[arg-type]


def _at(x: int, y: int, width: int, height: int) -> GridPos:
    return GridPos(h=height, w=width, x=x, y=y)


def _steps(*steps: tuple[float | None, str]) -> ThresholdsConfig:
    its = [Threshold(value=value, color=colour) for value, colour in steps]
    return ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(its)


def _number(number: int, title: str, expr: str, place: GridPos, bad: float | None = 1, unit: str = "short") -> Stat:
    steps = [(None, "green")] if bad is None else [(None, "green"), (bad, "red")]
    its = Stat().id(number).title(title).datasource(SOURCE).grid_pos(place).unit(unit).with_target(_query(expr))
    last = ReduceDataOptions().calcs(["lastNotNull"])
    return its.thresholds(_steps(*steps)).reduce_options(last).no_value("0")


def _lines(
    number: int, title: str, expr: str, legend: str, place: GridPos, unit: str = "short", stack: bool = False
) -> Lines:
    its = Lines().id(number).title(title).datasource(SOURCE).grid_pos(place).unit(unit).min(0).fill_opacity(10)
    keys = VizLegendOptions().display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM).show_legend(True)
    if stack:
        its = its.stacking(StackingConfig().mode(StackingMode.NORMAL)).fill_opacity(60)
    for name, colour in COLOURS.items() if "verdict" in legend else ():
        its = its.override_by_name(name, [_colour(colour)])
    return its.legend(keys).with_target(_query(expr, legend))


def _colour(name: str) -> Any:
    from grafana_foundation_sdk.models.dashboard import DynamicConfigValue

    return DynamicConfigValue(id_val="color", value={"mode": "fixed", "fixedColor": name})


def _dashboard(title: str, uid: str, about: str) -> Dashboard:
    source = DatasourceVariable("datasource").label("Data source").type("prometheus")
    made = (
        Dashboard(title).uid(uid).description(about).tags(["slurm", "preflight"]).refresh("1m").time("now-24h", "now")
    )
    return made.timezone("browser").with_variable(source)


def _variable(name: str, label: str, query: str) -> QueryVariable:
    its = QueryVariable(name).label(label).query(query).datasource(SOURCE)
    return its.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED).include_all(False)


def fleet() -> Dashboard:
    """Return the dashboard of what `preflight serve` counts."""
    its = 'cluster=~"$cluster"'
    made = _dashboard(
        "Preflight: fleet", "preflight-fleet", "Nodes, jobs and hooks, as the collector's /metrics has them."
    )
    made = made.with_variable(_variable("cluster", "Cluster", "label_values(preflight_nodes, cluster)"))
    panels = [
        _number(1, "Nodes", f"sum(preflight_nodes{{{its}}})", _at(0, 0, 4, 4), None),
        _number(2, "Drained by Preflight", f"sum(preflight_nodes_drained{{{its}}}) or vector(0)", _at(4, 0, 4, 4)),
        _number(3, "Unhealthy", f'sum(preflight_nodes{{{its},verdict="unhealthy"}})', _at(8, 0, 4, 4)),
        _number(4, "Silent for 3 h", f"sum(preflight_nodes_silent{{{its}}})", _at(12, 0, 4, 4)),
        _number(5, "Only noted, 24 h", f"sum(preflight_actions_not_enforced{{{its}}})", _at(16, 0, 4, 4)),
        _number(6, "Breaker, 24 h", f"sum(increase(preflight_breaker_trips_total{{{its}}}[24h]))", _at(20, 0, 4, 4)),
        _lines(
            7,
            "Nodes by verdict",
            f"sum by (verdict) (preflight_nodes{{{its}}})",
            "{{verdict}}",
            _at(0, 4, 12, 8),
            stack=True,
        ),
        _lines(
            8,
            "Drained nodes by check",
            f"sum by (check) (preflight_nodes_drained{{{its}}})",
            "{{check}}",
            _at(12, 4, 12, 8),
            stack=True,
        ),
        _lines(
            9,
            "Prologs an hour by verdict",
            f"3600 * sum by (verdict) (rate(preflight_prologs_total{{{its}}}{RATE}))",
            "{{verdict}}",
            _at(0, 12, 12, 8),
        ),
        _lines(
            10,
            "Jobs that did not fit, by partition",
            f'sum by (partition) (increase(preflight_prologs_total{{{its},verdict="mismatch"}}[1h]))',
            "{{partition}}",
            _at(12, 12, 12, 8),
        ),
        _lines(
            11,
            "How long hooks take: 95 %",
            f"histogram_quantile(0.95, sum by (phase, le) (rate({DURATION}{{{its}}}{RATE})))",
            "{{phase}}",
            _at(0, 20, 12, 8),
            "s",
        ),
        _lines(
            12,
            "Findings an hour by check",
            f"topk(10, 3600 * sum by (check, status) (rate(preflight_findings_total{{{its}}}{RATE})))",
            "{{check}} {{status}}",
            _at(12, 20, 12, 8),
        ),
        Table()
        .id(13)
        .title("Checks that do not pass now")
        .datasource(SOURCE)
        .grid_pos(_at(0, 28, 24, 8))
        .with_target(_query(f"sort_desc(sum by (check, status) (preflight_nodes_failing{{{its}}}))", table=True)),
    ]
    for panel in panels:
        made = made.with_panel(panel)
    return made


def node() -> Dashboard:
    """Return the dashboard of one node's text files; variables and panel numbers are those that Open OnDemand names."""
    its = 'cluster=~"$cluster",host=~"$host"'
    made = _dashboard(
        "Preflight: node", "preflight-node", "One node, as health check and epilog left it for node_exporter."
    )
    made = made.with_variable(_variable("cluster", "Cluster", "label_values(preflight_node_verdict, cluster)"))
    hosts = 'label_values(preflight_node_verdict{cluster=~"$cluster"}, host)'
    made = made.with_variable(_variable("host", "Node", hosts))
    panels = [
        _lines(
            20,
            "Verdict of the health check",
            f'sum by (verdict) (preflight_node_verdict{{{its},phase="health"}})',
            "{{verdict}}",
            _at(0, 0, 12, 8),
            stack=True,
        ),
        _lines(
            24,
            "Findings that did not pass",
            f"sum by (check, status) (preflight_node_check{{{its}}})",
            "{{check}} {{status}}",
            _at(12, 0, 12, 8),
        ),
        _lines(
            25,
            "How long hooks took",
            f"preflight_node_run_duration_seconds{{{its}}}",
            "{{phase}}",
            _at(0, 8, 12, 8),
            "s",
        ),
        _number(
            26,
            "Since the last health check",
            f'time() - preflight_node_run_timestamp_seconds{{{its},phase="health"}}',
            _at(12, 8, 12, 8),
            3600,
            "s",
        ),
    ]
    for panel in panels:
        made = made.with_panel(panel)
    return made


DASHBOARDS = {"preflight-fleet.json": fleet, "preflight-node.json": node}


def text(name: str) -> str:
    """Return a dashboard as JSON."""
    return JSONEncoder(sort_keys=True, indent=2).encode(DASHBOARDS[name]().build()) + "\n"


if __name__ == "__main__":
    place = Path(sys.argv[1]) if len(sys.argv) > 1 else PLACE
    place.mkdir(parents=True, exist_ok=True)
    for its in DASHBOARDS:
        (place / its).write_text(text(its), encoding="utf-8")
