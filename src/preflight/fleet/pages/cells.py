"""Cells of a table as HTML: every text is escaped here, once, and its direction stays its own."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from markupsafe import Markup, escape

from preflight.fleet.pages.ask import link
from preflight.fleet.pages.table import LONG, WHOLE, Column, JobRef, NodeRef, Table, fold, iso
from preflight.fleet.query.window import instant, length
from preflight.report.clean import clean

NUMBERS = ("number", "share", "ms", "span")
WHEN = ("time", "day", "date")
SAID = ("said", "lines", "command")
NOTHING = '<span class="quiet">\u2013</span>'
STATUS_WORDS = {"pass": "Pass", "warn": "Warning", "fail": "Fail", "unknown": "Unknown", "skip": "Does not apply"}
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,120}")
SHOWN_NODES = 300  # letters of a host list


def rows(table: Table) -> Markup:
    """Return the body's rows; the first cell of each is its header."""
    makers = [_MAKERS[column.kind] for column in table.columns]
    classes = [f' class="{_class(column)}"' if _class(column) else "" for column in table.columns]
    found = []
    for row in table.rows[: table.shown]:
        cells = [
            f"<td{style}>{NOTHING if value is None or value == '' else maker(value)}</td>"
            for value, maker, style in zip(row, makers, classes)
        ]
        cells[0] = f'<th scope="row"{cells[0][3:-5]}</th>'
        found.append(f"<tr>{''.join(cells)}</tr>")
    return Markup("\n".join(found))


def head(table: Table) -> Markup:
    """Return the cells of the head."""
    return Markup("").join(
        Markup('<th scope="col"{}>{}</th>').format(
            Markup(f' class="{_class(column)}"') if _class(column) else "", column.title
        )
        for column in table.columns
    )


def text(value: object) -> str:
    """Return a text from a report as HTML."""
    return f"<bdi>{_escaped(clean(str(value), LONG))}</bdi>"


def command(value: str) -> str:
    """Return a command to paste as HTML, whole: cut it would be another. A long one is scrolled, by keys too."""
    shown = escape(clean(value, WHOLE))
    if len(value) <= SHOWN_NODES:
        return f'<code class="command"><bdi>{shown}</bdi></code>'
    return f'<code class="command long" tabindex="0" role="group" aria-label="Command"><bdi>{shown}</bdi></code>'


def node_url(ref: NodeRef) -> str:
    """Return the URL of a node's page."""
    return link("/node", cluster=ref.cluster, name=ref.name)


def job_url(ref: JobRef) -> str:
    """Return the URL of a job's page."""
    return link("/job", cluster=ref.cluster, id=ref.job)


def when(ms: int) -> str:
    """Return a time as HTML, to the minute."""
    return f'<time datetime="{iso(ms)}">{instant(ms)}</time>'


def verdict(name: str) -> str:
    """Return a verdict as HTML."""
    return f'<span class="verdict v-{_escaped(name)}">{_escaped(name)}</span>'


def status(name: str) -> str:
    """Return a finding's status as HTML, with its mark."""
    word = STATUS_WORDS.get(name, name)
    its = _escaped(name)
    return (
        f'<span class="status s-{its}"><svg class="icon" aria-hidden="true"><use href="#i-{its}"/></svg>'
        f"{_escaped(word)}</span>"
    )


@lru_cache(maxsize=20_000)
def _escaped(value: str) -> str:
    return str(escape(value))


def _class(column: Column) -> str:
    return (
        "number"
        if column.kind in NUMBERS
        else {**dict.fromkeys(WHEN, "when"), **dict.fromkeys(SAID, "said"), "nodes": "names"}.get(column.kind, "")
    )


def _nodes(names: Any) -> str:
    folded = fold(names)
    return text(folded if len(folded) <= SHOWN_NODES else f"{folded[:SHOWN_NODES]}… ({len(names):,} nodes)")


def _check(name: str) -> str:
    if not _NAME.fullmatch(name):  # no check of ours: what a line of text held in its place
        return f"<code>{text(name)}</code>"
    return f'<a href="{_escaped(link("/check", name=name))}"><code>{text(name)}</code></a>'


_MAKERS: dict[str, Callable[[Any], str]] = {
    "text": text,
    "said": text,
    "code": lambda value: f"<code>{text(value)}</code>",
    "number": lambda value: f"{value:,}",
    "share": lambda value: f"{100 * value:.2f} %",
    "ms": lambda value: f"{value:,.1f} ms" if value < 10 else f"{value:,.0f} ms",
    "time": when,
    "day": lambda ms: when(ms).replace(" 00:00<", "<"),
    "date": text,
    "span": length,
    "verdict": verdict,
    "status": status,
    "node": lambda ref: f'<a href="{_escaped(node_url(ref))}">{text(ref.name)}</a>',
    "job": lambda ref: f'<a href="{_escaped(job_url(ref))}">{text(ref.label)}</a>',
    "check": _check,
    "nodes": _nodes,
    "lines": lambda lines: "<br>".join(text(line) for line in lines) or NOTHING,
    "command": command,
}
