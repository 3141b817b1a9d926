"""What the commands of `preflight fleet` share: their options, and how an answer is printed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import click

from preflight.cli.columns import columns
from preflight.cli.common import fail, write_out
from preflight.fleet.query.window import Window, instant, length, parse_window
from preflight.fleet.store.interface import Reader

TYPE_CHECKING = False  # as typing's: a command imports the questions that it asks
if TYPE_CHECKING:
    from preflight.fleet.query import actions

json_option = click.option("--json", "as_json", is_flag=True, help="As JSON.")
DRAIN_HEAD = ("since", "lasted", "ended by", "for")


def since_option(default: str) -> Callable[[Any], Any]:
    """Return the option that names a window of time."""
    return click.option("--since", default=default, show_default=True, metavar="SPAN", help="30m, 12h, 7d, 4w.")


def say(title: str, rows: Sequence[tuple[object, ...]], of: int) -> None:
    """Print a table under its title, with how many rows there are where it shows fewer."""
    if rows:
        more = f" ({len(rows)} of {of})" if of > len(rows) else ""
        write_out(f"{title}{more}:")
        write_out("\n".join(f"  {line}" for line in columns(rows)))


def say_wrapped(text: str) -> None:
    """Print a text in lines of 80 letters."""
    from textwrap import fill

    write_out(fill(text, 80, subsequent_indent="  ", break_long_words=True))


def names(names: Sequence[str]) -> str:
    """Return nodes as a host list."""
    from preflight.hostlist import folded

    return folded(list(names))


def cluster(store: Reader, name: str, cluster: str | None) -> str:
    """Return the cluster of a node; ends where it is not known, or several have one of that name."""
    from preflight.fleet.query.names import find

    found = find(store, name, cluster)
    if not found:
        fail(f"no report of node {name!r} is in the store")
    if len(found) > 1:
        several = " or ".join(one or '""' for one, _ in found)
        fail(f"several clusters have a node {name}: --cluster {several}")
    return found[0][0]


def window(span: str, now_ms: int) -> Window:
    """Return the window that ends now; ends where ``span`` is none."""
    try:
        return parse_window(span, now_ms)
    except ValueError as error:
        fail(str(error))


def length_ms(span: str, now_ms: int) -> int:
    """Return how long ``span`` is, in milliseconds; ends where it is none."""
    return now_ms - window(span, now_ms).begin_ms


def now_ms() -> int:
    """Return the time, in milliseconds since the epoch."""
    return round(time.time() * 1000)


def as_json(value: Any) -> None:
    """Print a value as JSON."""
    import json

    write_out(json.dumps(value, indent=2))


def drain_row(one: actions.Drain, now: int) -> tuple[object, ...]:
    """Return a drain's cells under DRAIN_HEAD."""
    lasted = length((one.end_ms or now) - one.begin_ms)
    return (instant(one.begin_ms), lasted, one.ended_by or "(lasts)", why(one))


def why(drain: actions.Drain) -> str:
    """Return check and subject of a drain's reason, preflight:CHECK:SUBJECT: MESSAGE."""
    check, _, subject = drain.reason.removeprefix("preflight:").partition(": ")[0].partition(":")
    return f"{check} {subject}".strip() or drain.check
