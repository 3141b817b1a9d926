"""Driver branches: what a driver's version says of it."""

from __future__ import annotations

from preflight.catalog import versions
from preflight.catalog.tables import SHIPPED, Row, Tables, source

PREVIEW = "preview"


def branch(driver: str, tables: Tables = SHIPPED) -> Row | None:
    """Return the row of a driver's branch ("550" of 550.54.15), None where the catalog has none."""
    parts = versions.parse(driver)
    return tables.find("branches", "branch", parts[0]) if parts else None


def own_cuda(driver: str, tables: Tables = SHIPPED) -> tuple[str | None, bool, str]:
    """Return the CUDA version that a driver reports by its branch, whether that is exact, and the source.

    A branch that the catalog lacks has at least the CUDA of the branch before it: then it is not exact.
    """
    parts = versions.parse(driver)
    if not parts:
        return None, False, ""
    known = [row for row in tables.rows("branches") if row.get("cuda") and row["branch"] <= parts[0]]
    if not known:
        return None, False, ""
    row = max(known, key=lambda one: one["branch"])
    best, exact, came_from = row["cuda"], row["branch"] == parts[0], source(row)
    if not exact:  # a toolkit's own row may name a driver of a branch that has no row yet
        for one in tables.rows("toolkits"):
            paired = versions.parse(one.get("driver", ""))
            if paired and versions.at_least(parts, paired) and _newer(one["version"], best):
                best, came_from = versions.show(versions.minor(one["version"]) or ()), source(one)
    return best, exact, came_from


def _newer(one: str, other: str) -> bool:
    return (versions.minor(one) or (0, 0)) > (versions.minor(other) or (0, 0))


def runs_gpu(driver: str, arch: str | None, tables: Tables = SHIPPED) -> tuple[bool | None, str, str]:
    """Tell whether a driver's branch drives an architecture, what is needed else, and the source. None: not known."""
    row = branch(driver, tables)
    if row is None or arch is None or "archs" not in row:
        return None, "", ""
    if arch in row["archs"]:
        return True, "", source(row)
    listing = sorted(one["branch"] for one in tables.rows("branches") if arch in one.get("archs", ()))
    if not listing:
        return None, "", ""
    needed = f"driver branch {listing[0]} or newer" if row["branch"] < listing[0] else f"driver branch {listing[-1]}"
    return False, needed, source(row)


def first_driver(cuda: str, tables: Tables = SHIPPED) -> tuple[str | None, str]:
    """Return the first driver whose own CUDA is a release or newer ("550.54.14" for 12.4), and the source."""
    asked = versions.minor(cuda)
    found: list[tuple[tuple[int, ...], str, Row]] = []
    for row in tables.rows("toolkits"):
        if versions.minor(row["version"]) == asked and not row.get("preview"):
            text = row.get("driver") or str(row.get("branch") or "")
            if text:
                found.append((versions.parse(text), text, row))
    if not found:
        return None, ""
    exact = [one for one in found if len(one[0]) > 1] or found
    _, text, row = min(exact, key=lambda one: one[0])
    return text, source(row)
