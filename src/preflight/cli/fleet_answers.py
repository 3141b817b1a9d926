"""The commands of `preflight fleet` about all nodes."""

from __future__ import annotations

from collections.abc import Sequence

import click

from preflight.cli import fleet_text as text
from preflight.cli.columns import columns
from preflight.cli.common import write_out
from preflight.cli.stores import asked, store_option
from preflight.fleet.keys import DAY_MS
from preflight.fleet.query import answers
from preflight.fleet.query.window import Window, instant, length
from preflight.report.model import VERDICTS

TYPE_CHECKING = False  # as typing's: a command imports the questions that it asks
if TYPE_CHECKING:
    from preflight.fleet.query import status


@click.command("status")
@store_option
@text.json_option
@click.option("--silent-after", default="3h", show_default=True, metavar="SPAN", help="No report for so long: silent.")
def status_(store_url: str, as_json: bool, silent_after: str) -> None:
    """How the nodes are now, and what the last 24 hours brought."""
    from preflight.fleet.query import actions, status, withheld

    store, now = asked(store_url), text.now_ms()
    if as_json:
        text.as_json(answers.status(store, now, text.length_ms(silent_after, now)))
        return
    nodes = status.latest(store)
    quiet = status.silent(nodes, now, text.length_ms(silent_after, now))
    day = text.window("24h", now)
    summary = status.summary(store, day)
    open_drains = actions.lasting(store, text.window("90d", now))
    failing = status.failing(store, day)
    unenforced = withheld.number(store, day)
    _say_nodes(nodes)
    if quiet:
        text.say_wrapped(f"silent for {silent_after}: {text.names([one.node for one in quiet])}")
    drained = [(one.node, instant(one.begin_ms), length(now - one.begin_ms), text.why(one)) for one in open_drains[:20]]
    text.say("drained by Preflight", drained, len(open_drains))
    text.say(
        f"did not pass since {_date(day)}",
        [(one.check, one.status, f"{one.nodes} nodes", f"{one.runs} runs") for one in failing[:15]],
        len(failing),
    )
    write_out(_of_summary("last 24 h", summary, unenforced))


@click.command("since")
@click.argument("span", default="7d")
@store_option
@text.json_option
def since_(span: str, store_url: str, as_json: bool) -> None:
    """What a window of time brought: 30m, 12h, 7d, 4w."""
    from preflight.fleet.query import actions, status, withheld

    store, now = asked(store_url), text.now_ms()
    window = text.window(span, now)
    if as_json:
        text.as_json(answers.since(store, window))
        return
    summary = status.summary(store, window)
    failing = status.failing(store, window)
    write_out(_of_summary(f"last {span}", summary, withheld.number(store, window)))
    rows = [(one.check, f"{one.times} drains", f"{one.nodes} nodes") for one in actions.drained_for(store, window)]
    text.say("drained for", rows, len(rows))
    text.say(
        f"did not pass since {_date(window)}",
        [(one.check, one.status, f"{one.nodes} nodes", f"{one.runs} runs") for one in failing[:15]],
        len(failing),
    )


@click.command("drains")
@store_option
@text.json_option
@text.since_option("7d")
@click.option("--limit", default=500, show_default=True, type=click.IntRange(1), help="How many, the latest, as text.")
def drains_(store_url: str, as_json: bool, since: str, limit: int) -> None:
    """Drains by Preflight: why, since when, how they ended."""
    from preflight.fleet.query import actions

    store, now = asked(store_url), text.now_ms()
    window = text.window(since, now)
    if as_json:
        text.as_json(answers.drains(store, window))
        return
    found = actions.drains(store, window, limit=limit)
    rows = [("node", *text.DRAIN_HEAD), *((one.node, *text.drain_row(one, now)) for one in found)]
    write_out("\n".join(columns(rows)) if found else f"no drain in the last {since}")
    if len(found) == limit and (number := actions.drains_number(store, window)) > limit:
        write_out(f"the latest {limit} of {number}: --limit {number} or --json shows all")


@click.command("would")
@store_option
@text.json_option
@text.since_option("7d")
def would_(store_url: str, as_json: bool, since: str) -> None:
    """What observe mode, the kill switch or the breaker kept from being done."""
    from preflight.fleet.query import withheld

    store, now = asked(store_url), text.now_ms()
    if as_json:
        text.as_json(answers.would(store, text.window(since, now)))
        return
    found = withheld.by_cause(store, text.window(since, now))
    rows = [
        (one.kind, one.check, f"{one.times} times", f"{one.nodes} nodes", f"last {instant(one.last_ms)}")
        for one in found
    ]
    write_out("\n".join(columns(rows)) if rows else f"all that was to do was done in the last {since}")


@click.command("drift")
@store_option
@text.json_option
def drift_(store_url: str, as_json: bool) -> None:
    """Nodes of one kind that are not alike: facts, policy, Preflight's version."""
    from preflight.fleet.query import drift

    store = asked(store_url)
    if as_json:
        text.as_json(answers.drift(store))
        return
    found = drift.drift(store)
    if not found:
        write_out("nodes of one kind are alike")
    alike: dict[tuple[object, ...], list[str]] = {}
    for one in found:  # of one cause several facts differ: driver.version and driver.module
        alike.setdefault((one.value, one.majority, one.nodes, one.since_ms, one.of, one.kind), []).append(one.fact)
    for (value, majority, nodes, since, of, kind), facts in alike.items():
        when = f", since {instant(since)}" if isinstance(since, int) else ""
        write_out(f"{', '.join(facts)}: {value} on {text.names(nodes)}{when}")  # type: ignore[arg-type]
        write_out(f"  {majority} on most of {of} nodes: {kind}")


def _say_nodes(nodes: Sequence[status.Latest]) -> None:
    counts = {verdict: sum(1 for one in nodes if one.verdict == verdict) for verdict in VERDICTS}
    shown = ", ".join(f"{number} {verdict}" for verdict, number in counts.items() if number)
    write_out(f"{len(nodes)} nodes: {shown or 'none has sent a report'}")


def _of_summary(title: str, summary: status.Summary, unenforced: int) -> str:
    share = f"{100 * summary.misfits / summary.jobs:.1f} %" if summary.jobs else "-"
    took = f"half within {summary.p50_ms} ms, 95 % within {summary.p95_ms} ms" if summary.p50_ms else "none"
    lines = [
        f"{title}: {summary.jobs} prologs, {summary.misfits} misfits ({share}); {took}",
        f"  not enforced: {unenforced} actions" if unenforced else "",
    ]
    return "\n".join(line for line in lines if line)


def _date(window: Window) -> str:
    """Return the first day of which findings are counted: whole days, UTC."""
    return instant(window.days[0] * DAY_MS)[:10]


COMMANDS = {
    one.name: one
    for one in (
        status_,
        since_,
        drains_,
        would_,
        drift_,
    )
}
