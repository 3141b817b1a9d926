"""A merged view as text, Markdown or one self-contained HTML page.

Each format escapes every value by default; what a filter has laid out is marked as done.
"""

from __future__ import annotations

import base64
import hashlib
import re
import textwrap
from collections.abc import Callable, Iterable, Mapping
from functools import cache, lru_cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from preflight import __version__
from preflight.checks.finding import STATUSES
from preflight.report.advice import advise
from preflight.report.clean import clean, width
from preflight.report.nodes import fold
from preflight.report.view import Cell, Row, View

COLUMNS = 80
_LONG = 4000
_MARKDOWN = re.compile(r"([\\`*_{}\[\]|~!#$^])")
_BLOCK = re.compile(r"^(\s*\d*)([-+=:.)])")  # what would begin a list, a rule or a heading's underline


class Laid(str):
    """Text that a filter has escaped and laid out: it goes out as it is."""


def render(view: View, form: str) -> str:
    """Return the view as ``form``: "text", "html" or "markdown", ending in a newline."""
    name = {"text": "report.txt", "html": "report.html", "markdown": "report.md"}[form]
    style = _style() if form == "html" else ""
    values = {"style": Markup(style), "style_hash": _digest(style)}
    return _environment(form).get_template(name).render(view=view, advice=advise(view), **values).rstrip() + "\n"


def markdown(value: object) -> Laid:
    """Return ``value`` as one line of Markdown in which nothing of it is markup or HTML."""
    text = clean(str(value), _LONG).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = _MARKDOWN.sub(r"\\\1", text)
    return Laid(_BLOCK.sub(r"\1\\\2", text))


def wrap(value: object, indent: int = 0, hanging: int | None = None, columns: int = COLUMNS) -> Laid:
    """Return ``value`` wrapped to ``columns``, its lines after the first indented; the first line's indent is the
    template's own, ``hanging`` gives the others another one."""
    text = clean(str(value), _LONG)
    rest = " " * (indent if hanging is None else hanging)
    lines = textwrap.wrap(text, columns, initial_indent=" " * indent, subsequent_indent=rest, break_on_hyphens=False)
    first = lines[0][indent:] if lines else ""
    return Laid("\n".join([first, *(line for one in lines[1:] for line in _halved(one, rest, columns))]))


def pad(value: object, columns: int) -> Laid:
    """Return ``value`` filled up, or cut, to ``columns`` of a terminal."""
    text = clean(str(value), _LONG)
    if width(text) > columns:
        while width(text) > columns - 1:
            text = text[:-1]
        text += "…"
    return Laid(text + " " * (columns - width(text)))


def clock(started: str) -> str:
    """Return a report's time as people read it: "2026-11-24 14:00:02"."""
    return started[:19].replace("T", " ")


def tally(counts: Mapping[str, int]) -> str:
    """Return counts by status as text, without those that are zero: "9 pass, 1 fail"."""
    return ", ".join(f"{counts[status]} {status}" for status in STATUSES if counts[status]) or "no checks"


def milliseconds(value: float) -> str:
    """Return a duration with the digits that matter: "0.8 ms", "42 ms", "3.2 s"."""
    if value >= 1000:
        return f"{value / 1000:.1f} s"
    return f"{value:.0f} ms" if value >= 10 else f"{value:.1f} ms"


def cells(row: Row, checks: Iterable[str]) -> Markup:
    """Return a row's cells in the order of ``checks``, as HTML: a thousand nodes have few that differ."""
    return Markup("".join(map(_cell, map(row.cells.get, checks))))


@lru_cache(maxsize=256)
def _cell(found: Cell | None) -> str:
    module: Any = _environment("html").get_template("cell.html").module
    return str(module.cell(found))


def _hosts(nodes: Iterable[str]) -> str:
    """Return nodes as one host list."""
    return fold(dict.fromkeys(nodes))


def _halved(line: str, rest: str, columns: int) -> list[str]:
    """Return a line, in pieces where wide letters make it wider than the screen."""
    pieces = []
    while width(line) > columns:
        cut = len(line)
        while width(line[:cut]) > columns:
            cut -= 1
        pieces.append(line[:cut])
        line = rest + line[cut:]
    return [*pieces, line]


def _finish(escape: Callable[[object], Laid]) -> Callable[[object], object]:
    def finish(value: object) -> object:
        return value if isinstance(value, (Laid, int, float)) else escape(value)

    return finish


def _plain(value: object) -> Laid:
    return Laid(clean(str(value), _LONG))


# What the templates of a view use; the dashboard shows the same body.
FILTERS: dict[str, Callable[..., object]] = {
    "hosts": _hosts,
    "wrap": wrap,
    "pad": pad,
    "clock": clock,
    "ms": milliseconds,
    "tally": tally,
    "laid": Laid,
    "cells": cells,
}


@cache
def _environment(form: str) -> Environment:
    finish = {"text": _finish(_plain), "markdown": _finish(markdown), "html": None}[form]
    made = Environment(
        loader=PackageLoader("preflight.report"),
        autoescape=form == "html",
        finalize=finish,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters.update(FILTERS)
    made.globals.update(version=__version__)
    return made


@cache
def _style() -> str:
    loader = _environment("html").loader
    assert loader is not None
    return loader.get_source(_environment("html"), "style.css")[0]


def _digest(style: str) -> str:
    """Return the style's hash as Content-Security-Policy wants it: no other style is then applied."""
    return base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
