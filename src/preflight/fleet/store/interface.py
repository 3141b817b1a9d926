"""What every store can do: the rest of the fleet knows no more of a database than this."""

from __future__ import annotations

from typing import NamedTuple, Protocol

TYPE_CHECKING = False  # as typing's; who only asks needs none of what is imported for types
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from preflight.fleet.entry import Entry

QUARANTINE = 10_000  # lines that a store keeps of texts that were not taken
HEAD_BYTES = 2048  # kept of each


class StoreError(Exception):
    """The store cannot do what was asked: one line, what and where."""


class Refused(NamedTuple):
    """A text that was not taken: ``at_ms`` when, ``sender`` the node that sent it, ``head`` its first bytes."""

    at_ms: int
    sender: str
    reason: str
    size: int
    head: bytes

    def row(self) -> tuple[int, str, str, int, bytes]:
        """Return the columns of the quarantine: the head cut, the texts without what a column does not hold."""
        return self.at_ms, text(self.sender), text(self.reason), self.size, self.head[:HEAD_BYTES]


def text(value: str | None) -> str:
    """Return a text for a column: PostgreSQL's holds no NUL, no database a lone surrogate."""
    if not value:
        return ""
    if not value.isascii():
        value = value.encode("utf-8", "replace").decode()
    return value.replace("\0", "?")


class Reader(Protocol):
    """A store that is asked. Rows come in the order of the columns that a statement names; ``?`` marks a parameter.

    Statements of `rows` read the tables of steps.py; those of `day_rows` read ``{reports}`` and ``{findings}``, which
    are kept by day and are named so.
    """

    def rows(self, sql: str, args: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a statement on the derived tables. Raises StoreError."""

    def day_rows(self, days: Iterable[int], sql: str, args: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a statement on ``reports`` or ``findings`` of each of ``days`` that is kept."""

    def revision(self) -> object:
        """Return a value that is another one after each change to the derived tables, by whomever. Raises StoreError.

        Two that are equal say that nothing has changed between them; what did not change may have another one.
        """

    def days(self) -> list[int]:
        """Return the days (since the epoch) that are kept, ascending."""

    def raw(self, day: int, key: bytes) -> bytes | None:
        """Return the report of ``day`` under ``key`` byte for byte, None where it is not kept."""

    def frames(self, day: int, where: str = "", args: Sequence[Any] = (), limit: int | None = None) -> Iterable[bytes]:
        """Yield the reports of ``day`` byte for byte, in the order in which they came, at most ``limit``."""

    def close(self) -> None:
        """Close what is open."""


class Store(Reader, Protocol):
    """A store that is asked and written to."""

    def pack(self, entry: Entry) -> Entry:
        """Return a report packed, so that `add` has less to do; from any thread, it waits for nothing."""

    def add(self, entries: Sequence[Entry]) -> int:
        """Keep reports and return how many were new; they are on the disk when this returns. Raises StoreError."""

    def refuse(self, refused: Sequence[Refused]) -> None:
        """Keep a line for each text that was not taken; the oldest past QUARANTINE go."""

    def write(self, sql: str, rows: Iterable[Sequence[Any]]) -> int:
        """Run a statement for each of ``rows``, all or none; returns the rows changed. Raises StoreError."""

    def resumed(self, seen: Sequence[tuple[int, int, int]]) -> None:
        """End drains of nodes that Slurm gives jobs again, as `drains.resumed` has them. Raises StoreError."""

    def drop_day(self, day: int) -> None:
        """Forget the reports of ``day``; what was derived from them stays."""
