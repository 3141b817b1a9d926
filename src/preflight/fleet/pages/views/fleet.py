"""The fleet at a glance: what is broken, since when, why, and what to do; then how everything else is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple

from preflight.fleet.entry import DAY_MS
from preflight.fleet.pages import charts, fleet_map
from preflight.fleet.pages.ask import Ask, Page
from preflight.fleet.pages.states import State, States
from preflight.fleet.pages.table import Column, NodeRef, Rows, Table
from preflight.fleet.pages.views import common
from preflight.fleet.query import actions, series, status, withheld
from preflight.fleet.query.standing import Roster, Standing, standing
from preflight.fleet.query.window import Window
from preflight.report.model import VERDICTS

BACK_DAYS = 90  # how old a drain may be that still lasts, as `preflight fleet status` has it
CHART_DAYS = 14


class Broken(NamedTuple):
    """Nodes that are out for one reason."""

    cluster: str
    why: str
    check: str
    by: str
    since_ms: int | None
    nodes: tuple[str, ...]


def page(ask: Ask) -> Page:
    """Return the fleet's page."""
    store, now = ask.store, ask.now_ms
    window = ask.window("24h")
    silent_ms = now - _span(ask).begin_ms
    nodes = standing(store)
    quiet = nodes.silent(now, silent_ms)
    drains = actions.lasting(store, Window(now - BACK_DAYS * DAY_MS, now + 1))
    failing = status.failing(store, window)
    summary = status.summary(store, window)
    would = withheld.on_nodes(store, window)
    broken = _broken(ask, nodes, drains)
    counts = {verdict: nodes.verdicts.count(at) for at, verdict in enumerate(VERDICTS)}
    figures: dict[str, Any] = {
        "nodes": len(nodes.verdicts),
        "verdicts": counts,
        "silent": len(quiet),
        "drained": len(drains),
        # Of every cluster: as Slurm says where it was asked, else those that we drained.
        "out": sum(len(one.nodes) for one in broken if one.by) if ask.states.nodes else None,
        "prologs": summary.jobs,
        "misfits": summary.misfits,
        "misfit_share": summary.misfits / summary.jobs if summary.jobs else None,
        "p50_ms": summary.p50_ms,
        "p95_ms": summary.p95_ms,
        "not_enforced": sum(one.times for one in would),
        "breaker": withheld.trips(store, window),
    }
    tables = (
        _broken_table(broken, ask),
        _failing_table(failing),
        _silent_table(nodes, quiet, now),
        _would_table(would),
        common.drain_table(drains, now, "drained", "Drains by Preflight that last"),
    )
    points = series.durations(store, window)
    days = series.failing_days(store, Window(now - CHART_DAYS * DAY_MS, now + 1))
    values = {
        "since": ask.since("24h"),
        "silent_after": ask.values.get("silent", "") or "3h",
        "map": fleet_map.draw(nodes, ask.states, now - silent_ms),
        "many": len(nodes.verdicts) > fleet_map.MANY,
        "durations": charts.lines(
            _of_durations(summary),
            [point.begin_ms for point in points],
            [
                charts.Line("95 %", "c-second", [point.p95_ms for point in points]),
                charts.Line("half", "c-first", [point.p50_ms for point in points]),
            ],
        )
        if summary.jobs
        else "",
        "failing_days": charts.bars(
            f"Findings that did not pass, by day, the last {CHART_DAYS} days",
            [day.day * DAY_MS for day in days],
            [
                charts.Line(name, style, [day.runs[name] for day in days])
                for name, style in (("fail", "c-fail"), ("unknown", "c-unknown"), ("warn", "c-warn"))
            ],
        ),
        "states": ask.states,
    }
    return Page("fleet", "Fleet", figures, tables, values)


def _span(ask: Ask) -> Window:
    return ask._replace(values={"since": ask.values.get("silent", "")}).window("3h")


def _of_durations(summary: status.Summary) -> str:
    if not summary.jobs:
        return "No prolog ran"
    return f"How long prologs took: half within {summary.p50_ms} ms, 95 % within {summary.p95_ms} ms"


def _broken(ask: Ask, nodes: Standing, drains: list[actions.Drain]) -> list[Broken]:
    """Nodes that are out, by why: as Slurm says where it was asked, else those that we drained."""
    ours = {(one.cluster, one.node): one for one in drains}
    groups: dict[tuple[str, str, str, str], list[tuple[str, int | None]]] = defaultdict(list)
    named = set()
    for cluster, name, state in _out(nodes.roster, ask.states):
        drain = ours.get((cluster, name))
        named.add((cluster, name))
        check = drain.check if drain else _check_of(state.reason)
        why = common.message(state.reason) or state.state
        by = "Preflight" if state.ours else state.user or "Slurm"
        groups[cluster, why, check if state.ours else "", by].append((name, state.since_ms))
    for (cluster, name), drain in ours.items():
        if not ask.states.about(cluster):
            groups[cluster, common.message(drain.reason) or drain.check, drain.check, "Preflight"].append(
                (name, drain.begin_ms)
            )
            named.add((cluster, name))
    names, started = nodes.roster.names, nodes.started_ms
    for line, places in nodes.unhealthy.items():
        check = line.partition(" ")[0]
        why = f"unhealthy, not drained: {line}".removesuffix(": ")
        for place in places:
            if names[place] not in named:
                cluster, name = names[place]
                groups[cluster, why, check, ""].append((name, started[place]))
    found = [
        Broken(cluster, why, check, by, min((at for _, at in its if at), default=None), tuple(name for name, _ in its))
        for (cluster, why, check, by), its in groups.items()
    ]
    return sorted(found, key=lambda one: (-len(one.nodes), one.since_ms or 0, one.why))


def _out(roster: Roster, its: States) -> Iterator[tuple[str, str, State]]:
    """Yield cluster, name and state of the nodes to which Slurm gives no jobs."""
    about = [cluster for cluster in reversed(roster.clusters) if its.about(cluster)]
    out: dict[int, bool] = {}  # by state: all nodes of a line of sinfo share one
    for name, state in its.nodes.items():
        if (known := out.get(id(state))) is None:
            known = out[id(state)] = state.out
        if known:
            yield next((cluster for cluster in about if (cluster, name) in roster.at), its.cluster), name, state


def _check_of(reason: str) -> str:
    return reason.removeprefix("preflight:").partition(":")[0] if reason.startswith("preflight:") else ""


def _broken_table(broken: list[Broken], ask: Ask) -> Table:
    columns = (
        Column("nodes", "Nodes", "nodes"),
        Column("why", "Why", "said"),
        Column("since", "Since", "time"),
        Column("by", "By"),
        Column("remedy", "What to do", "said"),
        Column("command", "To paste", "command"),
        Column("check", "Check", "check"),
        Column("number", "How many", "number"),
    )
    rows = [
        (
            one.nodes,
            one.why,
            one.since_ms,
            one.by,
            common.remedy(one.check),
            common.resume_command(one.nodes) if one.by else common.show_command(one.nodes),
            one.check,
            len(one.nodes),
        )
        for one in broken
    ]
    empty = "No node is out." if ask.states.nodes else "No node is drained by Preflight or unhealthy."
    return Table("broken", "Nodes that are out or unhealthy, by reason", columns, rows, empty)


def _failing_table(failing: list[status.Failing]) -> Table:
    columns = (
        Column("check", "Check", "check"),
        Column("status", "Result", "status"),
        Column("nodes", "Nodes", "number"),
        Column("runs", "Findings", "number"),
    )
    return Table("failing", "Checks that did not pass", columns, [tuple(one) for one in failing], "All passed.")


def _silent_table(nodes: Standing, quiet: list[int], now: int) -> Table:
    columns = (
        Column("node", "Node", "node"),
        Column("last", "Last report", "time"),
        Column("silent_ms", "Silent for", "span"),
        Column("verdict", "Verdict then", "verdict"),
    )

    def row(place: int) -> tuple[object, ...]:
        at = nodes.started_ms[place]
        return NodeRef(*nodes.roster.names[place]), at, now - at, VERDICTS[nodes.verdicts[place]]

    rows = Rows(quiet, row)
    return Table("silent", "Nodes that have sent nothing for too long", columns, rows, "Every node reports.", shown=12)


def _would_table(would: list[withheld.Withheld]) -> Table:
    columns = (
        Column("kind", "Action"),
        Column("check", "For", "check"),
        Column("times", "Times", "number"),
        Column("nodes", "Nodes", "nodes"),
        Column("last", "Last", "time"),
    )
    rows = [(one.kind, one.check, one.times, one.nodes, one.last_ms) for one in would]
    caption = "What was not done: observe mode, the kill switch or the breaker"
    return Table("would", caption, columns, rows, "All that was to do was done.")
