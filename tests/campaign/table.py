"""The table of a campaign: rows appended to a file as they come, and written out as text and JSON."""

from __future__ import annotations

import json
import textwrap
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from campaign.runner import Row

ORDER = ("WRONG", "not run", "held")
WIDTH = 100


class Rows:
    """The rows in ``directory``/rows.jsonl, which a killed run leaves whole but for its last line."""

    def __init__(self, directory: Path, fresh: bool = False) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._path = directory / "rows.jsonl"
        self.directory = directory
        self.rows: dict[str, Row] = {}
        if fresh:
            self._path.unlink(missing_ok=True)
        if self._path.exists():
            for line in self._path.read_text(encoding="utf-8").splitlines():
                try:
                    row = Row(**json.loads(line))
                except ValueError:
                    continue
                self.rows[row.id] = row
            whole = "".join(json.dumps(row.data()) + "\n" for row in self.rows.values())
            self._path.write_text(whole, encoding="utf-8")

    def keep(self, ids: set[str]) -> None:
        """Drop the rows of faults that are no more, from an earlier campaign of other faults."""
        self.rows = {id: row for id, row in self.rows.items() if id in ids}

    def add(self, row: Row) -> None:
        """Keep a row; a later one of the same id takes its place."""
        self.rows[row.id] = row
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row.data()) + "\n")

    def write(self, release: str) -> None:
        """Write table.txt and table.json."""
        rows = sorted(self.rows.values(), key=lambda row: (ORDER.index(row.result), row.id))
        data = {"slurm": release, "counts": counts(rows), "rows": [row.data() for row in rows]}
        (self.directory / "table.json").write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
        (self.directory / "table.txt").write_text(text(rows), encoding="utf-8")


def counts(rows: Iterable[Row]) -> dict[str, dict[str, int]]:
    """Return {family: {result: how many}}."""
    found: dict[str, Counter[str]] = {}
    for row in rows:
        found.setdefault(row.family, Counter())[row.result] += 1
    return {family: dict(found[family]) for family in sorted(found)}


def summary(rows: Iterable[Row]) -> str:
    """Return the counts as a small table."""
    listed = list(rows)
    lines = [f"{'family':14}{'faults':>8}{'held':>8}{'WRONG':>8}{'not run':>9}"]
    for family, found in counts(listed).items():
        lines.append(
            f"{family:14}{sum(found.values()):8}{found.get('held', 0):8}{found.get('WRONG', 0):8}"
            f"{found.get('not run', 0):9}"
        )
    total = Counter(row.result for row in listed)
    lines.append(f"{'all':14}{len(listed):8}{total['held']:8}{total['WRONG']:8}{total['not run']:9}")
    return "\n".join(lines)


def text(rows: Iterable[Row]) -> str:
    """Return the table as text: the counts, then each fault with what was expected and observed."""
    listed = list(rows)
    parts = [summary(listed), ""]
    for row in listed:
        parts.append(f"{row.result:8}{row.id}")
        lines = [("expected", row.expected), ("observed", row.observed), *(("WRONG", one) for one in row.wrong)]
        for head, said in lines:
            parts += textwrap.wrap(
                f"{head:9} {said}", WIDTH, initial_indent=" " * 8, subsequent_indent=" " * 18, break_on_hyphens=False
            )
    return "\n".join(parts) + "\n"
