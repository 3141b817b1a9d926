"""A page as HTML: the templates, the style sheet and the script, which have their content's hash in their names."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from preflight import __version__
from preflight.fleet.pages import cells
from preflight.fleet.pages.access import Reader
from preflight.fleet.pages.ask import Page, link
from preflight.fleet.query.window import instant, length
from preflight.report.clean import clean
from preflight.report.render import FILTERS

NAVIGATION = (
    ("fleet", "Fleet", "/fleet"),
    ("nodes", "Nodes", "/nodes"),
    ("jobs", "Jobs", "/jobs"),
    ("checks", "Checks", "/checks"),
    ("drift", "Drift", "/drift"),
    ("lifecycle", "Lifecycle", "/lifecycle"),
)
WITHIN = {"node": "nodes", "job": "jobs", "why": "jobs", "check": "checks"}
FOR_USERS = ("jobs", "job")  # the pages that a reader who is no admin may see


class Asset(NamedTuple):
    """A file that the pages name: ``url`` changes with its content."""

    url: str
    content: bytes
    type: str


@cache
def assets() -> dict[str, Asset]:
    """Return the style sheet and the script by their names."""
    here = files("preflight.fleet.pages") / "static"
    report = files("preflight.report") / "templates" / "style.css"
    style = report.read_bytes() + (here / "pages.css").read_bytes()
    its = {"pages.css": (style, "text/css"), "live.js": ((here / "live.js").read_bytes(), "text/javascript")}
    its["icon.svg"] = ((here / "icon.svg").read_bytes(), "image/svg+xml")
    found = {}
    for name, (content, kind) in its.items():
        stem, _, end = name.partition(".")
        digest = hashlib.sha256(content).hexdigest()[:16]
        found[name] = Asset(f"/static/{stem}.{digest}.{end}", content, f"{kind}; charset=utf-8")
    return found


def html(page: Page, reader: Reader, address: str) -> str:
    """Return a page as HTML for a reader; ``address``: its own path and query."""
    tables = {one.name: one for one in page.tables}
    navigation = [one for one in NAVIGATION if reader.admin or one[0] in FOR_USERS]
    return (
        environment()
        .get_template(f"{page.name}.html")
        .render(
            page=page,
            figures=page.figures,
            tables=tables,
            reader=reader,
            navigation=navigation,
            here=WITHIN.get(page.name, page.name),
            address=address,
            **page.values,
        )
    )


def plain(template: str, values: Mapping[str, Any]) -> str:
    """Return a page that has no reader: the login form, an error."""
    return environment().get_template(template).render(**values)


@cache
def environment() -> Environment:
    """Return the templates' environment: everything is escaped, a name that is missing is an error."""
    loader = ChoiceLoader([PackageLoader("preflight.fleet.pages"), PackageLoader("preflight.report")])
    made = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters.update(FILTERS)
    made.filters.update(
        clean=lambda value: clean(str(value), 500),
        instant=instant,
        lasting=length,
        rows=cells.rows,
        head=cells.head,
        mark_verdict=lambda name: Markup(cells.verdict(name)),
        mark_status=lambda name: Markup(cells.status(name)),
        when=lambda ms: Markup(cells.when(ms)),
    )
    made.globals.update(version=__version__, link=link, assets=assets(), export=_export)
    return made


def _export(address: str, form: str, table: str = "") -> str:
    """Return the URL of this page's answer in another form."""
    path, _, query = address.partition("?")
    kept = "&".join(
        part for part in query.split("&") if part and part.partition("=")[0] not in ("format", "table", "page", "size")
    )
    more = f"format={form}" + (f"&table={table}" if table else "")
    return f"{path}?{kept}&{more}" if kept else f"{path}?{more}"
