"""The commands of `preflight fleet` that answer from the store."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import click

from preflight.cli import completion
from preflight.cli.columns import columns
from preflight.cli.common import fail, write_out
from preflight.cli.stores import asked, opened, store_option
from preflight.digits import is_whole
from preflight.fleet.keys import DAY_MS
from preflight.fleet.query import answers
from preflight.fleet.query.window import Window, instant, length, parse_window
from preflight.fleet.store.interface import Reader
from preflight.report.model import VERDICTS

TYPE_CHECKING = False  # as typing's: a command imports the questions that it asks
if TYPE_CHECKING:
    from preflight.fleet.query import actions, jobs, status

json_option = click.option("--json", "as_json", is_flag=True, help="As JSON.")


def since_option(default: str) -> Callable[[Any], Any]:
    """Return the option that names a window of time."""
    return click.option("--since", default=default, show_default=True, metavar="SPAN", help="30m, 12h, 7d, 4w.")


@click.command("status")
@store_option
@json_option
@click.option("--silent-after", default="3h", show_default=True, metavar="SPAN", help="No report for so long: silent.")
def status_(store_url: str, as_json: bool, silent_after: str) -> None:
    """How the nodes are now, and what the last 24 hours brought."""
    from preflight.fleet.query import actions, status

    store, now = asked(store_url), _now_ms()
    if as_json:
        _json(answers.status(store, now, _length_ms(silent_after, now)))
        return
    nodes = status.latest(store)
    quiet = status.silent(nodes, now, _length_ms(silent_after, now))
    day = _window("24h", now)
    summary = status.summary(store, day)
    open_drains = actions.lasting(store, _window("90d", now))
    failing = status.failing(store, day)
    unenforced = actions.would_number(store, day)
    _say_nodes(nodes)
    if quiet:
        _say_wrapped(f"silent for {silent_after}: {_names([one.node for one in quiet])}")
    drained = [(one.node, instant(one.begin_ms), length(now - one.begin_ms), _why(one)) for one in open_drains[:20]]
    _say("drained by Preflight", drained, len(open_drains))
    _say(
        f"did not pass since {_date(day)}",
        [(one.check, one.status, f"{one.nodes} nodes", f"{one.runs} runs") for one in failing[:15]],
        len(failing),
    )
    write_out(_of_summary("last 24 h", summary, unenforced))


@click.command("since")
@click.argument("span", default="7d")
@store_option
@json_option
def since_(span: str, store_url: str, as_json: bool) -> None:
    """What a window of time brought: 30m, 12h, 7d, 4w."""
    from preflight.fleet.query import actions, status

    store, now = asked(store_url), _now_ms()
    window = _window(span, now)
    if as_json:
        _json(answers.since(store, window))
        return
    summary = status.summary(store, window)
    failing = status.failing(store, window)
    write_out(_of_summary(f"last {span}", summary, actions.would_number(store, window)))
    rows = [(one.check, f"{one.times} drains", f"{one.nodes} nodes") for one in actions.drained_for(store, window)]
    _say("drained for", rows, len(rows))
    _say(
        f"did not pass since {_date(window)}",
        [(one.check, one.status, f"{one.nodes} nodes", f"{one.runs} runs") for one in failing[:15]],
        len(failing),
    )


@click.command("node")
@click.argument("name", shell_complete=completion.nodes)
@store_option
@json_option
@since_option("30d")
@click.option("--cluster", help="Where several clusters have a node of that name.")
def node_(name: str, store_url: str, as_json: bool, since: str, cluster: str | None) -> None:
    """A node's history: verdicts, drains, changes, jobs lost, MTBF, availability."""
    from preflight.fleet.query import node

    store, now = asked(store_url), _now_ms()
    place, window = _cluster(store, name, cluster), _window(since, now)
    if as_json:
        _json(answers.node(store, place, name, window))
        return
    its = node.history(store, place, name, window)
    latest = its.now
    write_out(f"{name}  {latest.verdict}, {latest.phase} of {instant(latest.started_ms)}")
    for line in latest.failing[:10]:
        write_out(f"  {line}")
    shown = ("os.name", "kernel.release", "driver.version", "gpus.count", "gpus.name", "memory.total")
    rows = [(fact, _measure(fact, its.facts[fact])) for fact in shown if fact in its.facts]
    rows += [("preflight", latest.preflight), ("policy", latest.policy[:12] or "-")]
    _say("is", rows, len(rows))
    runs = {verdict: sum(day.runs[verdict] for day in its.days) for verdict in VERDICTS}
    known = [(verdict, str(number)) for verdict, number in runs.items() if number]
    _say(f"runs in {since}", known, len(known))
    if its.drains:
        _say("drains", [DRAIN_HEAD, *(_drain_row(one, now) for one in its.drains[-20:])], len(its.drains))
    recovered = [one for one in its.others if one.kind in RECOVERY]
    for one in recovered[-5:]:
        _say("recovery", [(instant(one.at_ms), one.kind, _enforced(one), one.check)], 1)
        _say_wrapped(f"    {one.detail}")
    others = [one for one in its.others if one.kind not in RECOVERY]
    moved = [(instant(one.at_ms), one.kind, _enforced(one), f"job {one.job}", one.check) for one in others[-10:]]
    _say("other actions", moved, len(others))
    changed = [(instant(one.first_ms), one.fact, f"{one.before} -> {one.after}") for one in its.changes[-20:]]
    _say("changes", changed, len(its.changes))
    booted = [(instant(one.up_ms), f"seen until {instant(one.last_ms)}") for one in its.boots[-10:]]
    _say("boots", booted, len(its.boots))
    mtbf = length(its.mtbf_ms) if its.mtbf_ms is not None else "no drain"
    write_out(f"jobs lost {its.lost}, MTBF {mtbf}, availability {100 * its.availability:.2f} %")


@click.command("jobs")
@store_option
@json_option
@since_option("24h")
@click.option("--user", default="", help="Of this user.")
@click.option("--partition", default="", help="In this partition.")
@click.option("--verdict", default="", type=click.Choice(["", *VERDICTS]), help="The worst of their reports.")
@click.option("--node", "node_name", help="That ran here.")
@click.option("--cluster", help="Where several clusters have a node of that name.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 100_000))
def jobs_(
    store_url: str,
    as_json: bool,
    since: str,
    user: str,
    partition: str,
    verdict: str,
    node_name: str | None,
    cluster: str | None,
    limit: int,
) -> None:
    """Jobs with reports, the latest first."""
    from preflight.fleet.query import jobs

    store, now = asked(store_url), _now_ms()
    place = (_cluster(store, node_name, cluster), node_name) if node_name else None
    window = _window(since, now)
    if as_json:
        _json(answers.jobs(store, window, user, partition, verdict, place, limit))
        return
    found = jobs.jobs(store, window, user, partition, verdict, place, limit)
    head = ("job", "user", "partition", "verdict", "tries", "reports", "last report")
    rows = [
        (_job_name(one), one.user, one.partition, one.verdict, one.tries, one.reports, instant(one.last_ms))
        for one in found
    ]
    write_out("\n".join(columns([head, *rows])) if rows else f"no job has a report in the last {since}")


@click.command("drains")
@store_option
@json_option
@since_option("7d")
def drains_(store_url: str, as_json: bool, since: str) -> None:
    """Drains by Preflight: why, since when, how they ended."""
    from preflight.fleet.query import actions

    store, now = asked(store_url), _now_ms()
    window = _window(since, now)
    if as_json:
        _json(answers.drains(store, window))
        return
    found = actions.drains(store, window)
    rows = [("node", *DRAIN_HEAD), *((one.node, *_drain_row(one, now)) for one in found)]
    write_out("\n".join(columns(rows)) if found else f"no drain in the last {since}")


@click.command("would")
@store_option
@json_option
@since_option("7d")
def would_(store_url: str, as_json: bool, since: str) -> None:
    """What observe mode, the kill switch or the breaker kept from being done."""
    from preflight.fleet.query import actions

    store, now = asked(store_url), _now_ms()
    if as_json:
        _json(answers.would(store, _window(since, now)))
        return
    found = actions.would_by_cause(store, _window(since, now))
    rows = [
        (one.kind, one.check, f"{one.times} times", f"{one.nodes} nodes", f"last {instant(one.last_ms)}")
        for one in found
    ]
    write_out("\n".join(columns(rows)) if rows else f"all that was to do was done in the last {since}")


@click.command("drift")
@store_option
@json_option
def drift_(store_url: str, as_json: bool) -> None:
    """Nodes of one kind that are not alike: facts, policy, Preflight's version."""
    from preflight.fleet.query import drift

    store = asked(store_url)
    if as_json:
        _json(answers.drift(store))
        return
    found = drift.drift(store)
    if not found:
        write_out("nodes of one kind are alike")
    alike: dict[tuple[object, ...], list[str]] = {}
    for one in found:  # of one cause several facts differ: driver.version and driver.module
        alike.setdefault((one.value, one.majority, one.nodes, one.since_ms, one.of, one.kind), []).append(one.fact)
    for (value, majority, nodes, since, of, kind), facts in alike.items():
        when = f", since {instant(since)}" if isinstance(since, int) else ""
        write_out(f"{', '.join(facts)}: {value} on {_names(nodes)}{when}")  # type: ignore[arg-type]
        write_out(f"  {majority} on most of {of} nodes: {kind}")


@click.command("token")
@click.argument("name", metavar="NODE")
@store_option
@click.option("--cluster", default="", help="The node's cluster; without it its reports may name any.")
@click.option("--revoke", is_flag=True, help="End all its tokens at once instead.")
def token_(name: str, store_url: str, cluster: str, revoke: bool) -> None:
    """Make a node's token and print it; the one it had before holds for another day."""
    from preflight.fleet import tokens

    store = opened(store_url)
    if revoke:
        write_out(f"{tokens.revoke(store, cluster, name)} tokens of {name} ended")
    else:
        write_out(tokens.make(store, cluster, name))


@click.command("reader")
@click.argument("name", metavar="USER")
@store_option
@click.option("--admin", is_flag=True, help="May see every job; without it only jobs of the user of that name.")
@click.option("--metrics", is_flag=True, help="May ask /metrics, and see nothing else: for Prometheus.")
@click.option("--revoke", is_flag=True, help="End all of the reader's tokens at once instead.")
def reader_(name: str, store_url: str, admin: bool, metrics: bool, revoke: bool) -> None:
    """Make a reader's token for the dashboard of `preflight serve` and print it."""
    from preflight.fleet.pages import access

    store = opened(store_url)
    if revoke:
        write_out(f"{access.revoke(store, name)} tokens of {name} ended")
        return
    if not 0 < len(name) <= access.MAX_NAME or not name.isprintable():
        fail(f"USER: no name of at most {access.MAX_NAME} letters")
    if admin and metrics:
        fail("--admin and --metrics: one of the two")
    write_out(access.make(store, name, "admin" if admin else "metrics" if metrics else "user"))


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


def _measure(fact: str, value: str) -> str:
    return f"{int(value) / 2**30:.0f} GiB" if fact == "memory.total" and is_whole(value) else value


RECOVERY = ("reboot", "command")
DRAIN_HEAD = ("since", "lasted", "ended by", "for")


def _drain_row(one: actions.Drain, now: int) -> tuple[object, ...]:
    lasted = length((one.end_ms or now) - one.begin_ms)
    return (instant(one.begin_ms), lasted, one.ended_by or "(lasts)", _why(one))


def _why(drain: actions.Drain) -> str:
    """Return check and subject of a drain's reason, preflight:CHECK:SUBJECT: MESSAGE."""
    check, _, subject = drain.reason.removeprefix("preflight:").partition(": ")[0].partition(":")
    return f"{check} {subject}".strip() or drain.check


def _enforced(one: actions.Action) -> str:
    return "done" if one.enforced else "not enforced"


def _job_name(one: jobs.Job) -> str:
    return f"{one.array_job}_{one.array_task}" if one.array_job and one.array_task is not None else str(one.job)


def _say(title: str, rows: Sequence[tuple[object, ...]], of: int) -> None:
    if rows:
        more = f" ({len(rows)} of {of})" if of > len(rows) else ""
        write_out(f"{title}{more}:")
        write_out("\n".join(f"  {line}" for line in columns(rows)))


def _say_wrapped(text: str) -> None:
    from textwrap import fill

    write_out(fill(text, 80, subsequent_indent="  ", break_long_words=True))


def _names(names: Sequence[str]) -> str:
    from preflight.hostlist import folded

    return folded(list(names))


def _cluster(store: Reader, name: str, cluster: str | None) -> str:
    from preflight.fleet.query import node

    found = node.find(store, name)
    if cluster is not None:
        found = [one for one in found if one[0] == cluster]
    if not found:
        fail(f"no report of node {name!r} is in the store")
    if len(found) > 1:
        fail(f"several clusters have a node {name}: --cluster {' or '.join(one for one, _ in found)}")
    return found[0][0]


def _window(span: str, now_ms: int) -> Window:
    try:
        return parse_window(span, now_ms)
    except ValueError as error:
        fail(str(error))


def _length_ms(span: str, now_ms: int) -> int:
    return now_ms - _window(span, now_ms).begin_ms


def _now_ms() -> int:
    return round(time.time() * 1000)


def _json(value: Any) -> None:
    import json

    write_out(json.dumps(value, indent=2))


COMMANDS = {one.name: one for one in (status_, node_, jobs_, drains_, would_, drift_, since_, token_, reader_)}
