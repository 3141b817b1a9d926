"""What was asked of a page: by whom, of what, when; the URL's values are checked where they are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlencode

from preflight.digits import is_whole
from preflight.fleet.pages.access import Reader
from preflight.fleet.pages.states import States
from preflight.fleet.pages.table import Table
from preflight.fleet.query.window import Window, parse_window
from preflight.fleet.store.interface import Store
from preflight.report.clean import clean

SIZES = (1, 500)  # rows of a page
DEEPEST = 10_000  # rows that a reader can page through; past them a filter is the better way
MAX_TEXT = 200
T = TypeVar("T")


class AskedError(ValueError):
    """A value in the URL that cannot be: one line, which and what would do."""


class BusyError(Exception):
    """As much of this kind is being made as is made at once: one line, what, and that it may be asked again."""


class NotFoundError(LookupError):
    """What was asked for is not there, or is not the reader's: the two are one answer."""


class Ask(NamedTuple):
    """A question: ``values`` are the URL's, ``now_ms`` the time that all of the answer is about."""

    store: Store
    reader: Reader
    values: Mapping[str, str]
    now_ms: int
    states: States

    def text(self, name: str) -> str:
        """Return a text of the URL, "" where it is missing; raises AskedError for one that is too long."""
        value = self.values.get(name, "").strip()
        if len(value) > MAX_TEXT or "\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
            raise AskedError(f"{name}: not a text of at most {MAX_TEXT} letters")
        return value

    def number(self, name: str, default: int, least: int, most: int) -> int:
        """Return a number of the URL; raises AskedError for what is none, or outside ``least`` to ``most``."""
        value = self.values.get(name, "")
        if not value:
            return default
        if not is_whole(value) or len(value) > 12 or not least <= int(value) <= most:
            raise AskedError(f"{name}: {clean(value, 40)!r} is not a number from {least} to {most}")
        return int(value)

    def choice(self, name: str, among: Sequence[str], default: str = "") -> str:
        """Return one of ``among``, ``default`` where it is missing or empty; raises AskedError for another."""
        value = self.values.get(name, "") or default
        if value and value not in among:
            raise AskedError(f"{name}: {clean(value, 40)!r} is none of {', '.join(among)}")
        return value

    def window(self, default: str) -> Window:
        """Return the window that ``since`` names, at most ten years; raises AskedError."""
        try:
            window = parse_window(self.values.get("since", "") or default, self.now_ms)
        except ValueError as error:
            raise AskedError(f"since: {error}") from None
        if window.end_ms - window.begin_ms > 3660 * 86_400_000:
            raise AskedError("since: more than ten years")
        return window

    def since(self, default: str) -> str:
        """Return the text of the window, as the form shows it."""
        return clean(self.values.get("since", "") or default, 20)

    def paging(self, deepest: int = DEEPEST) -> tuple[int, int]:
        """Return (first row, rows) of the page that is asked for; raises AskedError past row ``deepest``."""
        size = self.number("size", 100, *SIZES)
        page = self.number("page", 1, 1, max(1, deepest // size))
        return (page - 1) * size, size


class Pager(NamedTuple):
    """Where a list goes on: URLs, "" where it does not."""

    before: str
    after: str
    first: int
    last: int


class Page(NamedTuple):
    """An answer: ``figures`` and ``tables`` are what HTML, JSON and CSV share; ``values`` only the template needs.

    ``looked``: (job, user) of the jobs that it shows, for the audit line.
    """

    name: str
    title: str
    figures: dict[str, Any]
    tables: tuple[Table, ...]
    values: dict[str, Any]
    looked: tuple[tuple[str, str], ...] = ()

    def table(self, name: str) -> Table:
        """Return a table by its name; raises AskedError where the page has none of that name."""
        for one in self.tables:
            if one.name == name:
                return one
        names = ", ".join(one.name for one in self.tables)
        raise AskedError(f"table: {clean(name, 40)!r} is none of {names}")


def link(path: str, /, **values: Any) -> str:
    """Return a URL of ours; values that are empty or None are left out."""
    query = urlencode({name: value for name, value in values.items() if value not in ("", None)}, errors="replace")
    return f"{path}?{query}" if query else path


def pager(ask: Ask, path: str, shown: int, more: bool) -> Pager:
    """Return where the list of this page goes on, with the same filters."""
    first, size = ask.paging()
    page = first // size + 1
    kept = {name: value for name, value in ask.values.items() if name not in ("page", "format", "table")}
    after = more and (page + 1) * size <= DEEPEST
    return Pager(
        link(path, **{**kept, "page": page - 1 if page > 2 else ""}) if page > 1 else "",
        link(path, **{**kept, "page": page + 1}) if after else "",
        first + 1 if shown else 0,
        first + shown,
    )
