"""Rows into SQLite, many with one statement.

Python's sqlite3 lets other threads run while a statement does, and waits for its turn again after each: a row at a time
the writer would wait for the thread that reads the next batch as often as it has rows.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from itertools import chain
from typing import Any

PARAMETERS = 900  # in one statement: SQLite before 3.32 takes 999 (sqlite.org/limits.html)
PART = 8  # what is fewer goes with statements of so many times fewer rows


def insert(connection: sqlite3.Connection, head: str, rows: Sequence[tuple[Any, ...]], end: str = "") -> None:
    """Run ``head`` VALUES ``rows`` ``end``, in as few statements as there can be. Their texts are few, and kept."""
    if not rows:
        return
    mark = f"({', '.join('?' * len(rows[0]))})"
    begin, number = 0, PARAMETERS // len(rows[0])
    while number > 1:
        sql = f"{head} VALUES {', '.join([mark] * number)} {end}"
        while len(rows) - begin >= number:
            connection.execute(sql, tuple(chain.from_iterable(rows[begin : begin + number])))
            begin += number
        number //= PART
    connection.executemany(f"{head} VALUES {mark} {end}", rows[begin:])
