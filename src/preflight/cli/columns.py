"""Rows of text in columns, for a terminal of 80."""

from collections.abc import Sequence

WIDTH = 80
GAP = 2


def columns(rows: Sequence[Sequence[object]], width: int = WIDTH) -> list[str]:
    """Return the rows as lines, their cells below each other; the last column is cut where a line would be too wide."""
    cells = [["" if cell is None else " ".join(str(cell).split()) for cell in row] for row in rows]
    most = max(map(len, cells), default=0)
    widths = [max((len(row[at]) for row in cells if at < len(row)), default=0) for at in range(most)]
    lines = []
    for row in cells:
        line = (" " * GAP).join(cell.ljust(size) for cell, size in zip(row, widths)).rstrip()
        lines.append(line if len(line) <= width - GAP else f"{line[: width - GAP - 1]}…")
    return lines
