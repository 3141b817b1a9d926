"""The commands of `preflight fleet` about a node, and about jobs."""

from __future__ import annotations

import click

from preflight.cli import completion
from preflight.cli import fleet_text as text
from preflight.cli.columns import columns
from preflight.cli.common import write_out
from preflight.cli.stores import asked, store_option
from preflight.digits import is_whole
from preflight.fleet.query import answers
from preflight.fleet.query.window import instant, length
from preflight.report.model import VERDICTS

TYPE_CHECKING = False  # as typing's: a command imports the questions that it asks
if TYPE_CHECKING:
    from preflight.fleet.query import actions, jobs

RECOVERY = ("reboot", "command")


@click.command("node")
@click.argument("name", shell_complete=completion.nodes)
@store_option
@text.json_option
@text.since_option("30d")
@click.option("--cluster", help="Where several clusters have a node of that name.")
def node_(name: str, store_url: str, as_json: bool, since: str, cluster: str | None) -> None:
    """A node's history: verdicts, drains, changes, jobs lost, MTBF, availability."""
    from preflight.fleet.query import node

    store, now = asked(store_url), text.now_ms()
    place, window = text.cluster(store, name, cluster), text.window(since, now)
    if as_json:
        text.as_json(answers.node(store, place, name, window))
        return
    its = node.history(store, place, name, window)
    latest = its.now
    write_out(f"{name}  {latest.verdict}, {latest.phase} of {instant(latest.started_ms)}")
    for line in latest.failing[:10]:
        write_out(f"  {line}")
    shown = ("os.name", "kernel.release", "driver.version", "gpus.count", "gpus.name", "memory.total")
    rows = [(fact, _measure(fact, its.facts[fact])) for fact in shown if fact in its.facts]
    rows += [("preflight", latest.preflight), ("policy", latest.policy[:12] or "-")]
    text.say("is", rows, len(rows))
    runs = {verdict: sum(day.runs[verdict] for day in its.days) for verdict in VERDICTS}
    known = [(verdict, str(number)) for verdict, number in runs.items() if number]
    text.say(f"runs in {since}", known, len(known))
    if its.drains:
        text.say("drains", [text.DRAIN_HEAD, *(text.drain_row(one, now) for one in its.drains[-20:])], len(its.drains))
    recovered = [one for one in its.others if one.kind in RECOVERY]
    for one in recovered[-5:]:
        text.say("recovery", [(instant(one.at_ms), one.kind, _enforced(one), one.check)], 1)
        text.say_wrapped(f"    {one.detail}")
    others = [one for one in its.others if one.kind not in RECOVERY]
    moved = [(instant(one.at_ms), one.kind, _enforced(one), f"job {one.job}", one.check) for one in others[-10:]]
    text.say("other actions", moved, len(others))
    changed = [(instant(one.first_ms), one.fact, f"{one.before} -> {one.after}") for one in its.changes[-20:]]
    text.say("changes", changed, len(its.changes))
    booted = [(instant(one.up_ms), f"seen until {instant(one.last_ms)}") for one in its.boots[-10:]]
    text.say("boots", booted, len(its.boots))
    mtbf = length(its.mtbf_ms) if its.mtbf_ms is not None else "no drain"
    write_out(f"jobs lost {its.lost}, MTBF {mtbf}, availability {100 * its.availability:.2f} %")


@click.command("jobs")
@store_option
@text.json_option
@text.since_option("24h")
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

    store, now = asked(store_url), text.now_ms()
    place = (text.cluster(store, node_name, cluster), node_name) if node_name else None
    window = text.window(since, now)
    if as_json:
        text.as_json(answers.jobs(store, window, user, partition, verdict, place, limit))
        return
    found = jobs.jobs(store, window, user, partition, verdict, place, limit)
    head = ("job", "user", "partition", "verdict", "tries", "reports", "last report")
    rows = [
        (_job_name(one), one.user, one.partition, one.verdict, one.tries, one.reports, instant(one.last_ms))
        for one in found
    ]
    write_out("\n".join(columns([head, *rows])) if rows else f"no job has a report in the last {since}")


def _measure(fact: str, value: str) -> str:
    return f"{int(value) / 2**30:.0f} GiB" if fact == "memory.total" and is_whole(value) else value


def _enforced(one: actions.Action) -> str:
    return "done" if one.enforced else "not enforced"


def _job_name(one: jobs.Job) -> str:
    return f"{one.array_job}_{one.array_task}" if one.array_job and one.array_task is not None else str(one.job)


COMMANDS = {
    one.name: one
    for one in (
        node_,
        jobs_,
    )
}
