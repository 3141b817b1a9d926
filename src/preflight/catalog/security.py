"""Is a driver older than the last security fix of its branch?"""

from __future__ import annotations

from preflight.catalog import versions
from preflight.catalog.tables import SHIPPED, Tables, source
from preflight.tuples import NamedTuple


class Fixes(NamedTuple):
    """``behind`` True, False, None (not known); ``fixed`` the branch's last fixed version, of ``date``.

    ``missed``: how many of NVIDIA's bulletins the driver lacks the fixes of. A branch past its end gets no fix any
    more: not behind then only means fixed up to ``date``.
    """

    behind: bool | None
    fixed: str | None
    date: str | None
    bulletin: int | None
    missed: int
    why: str
    needs: str | None
    source: str


def driver(version: str, tables: Tables = SHIPPED) -> Fixes:
    """Tell whether a driver ("535.183.01") lacks the last security fix of its branch."""
    parts = versions.parse(version)
    row = tables.find("fixes", "branch", parts[0]) if parts else None
    if row is None:
        which = f"branch {parts[0]}" if parts else version
        return Fixes(None, None, None, None, 0, f"no security bulletin that was seen lists {which}", None, "")
    fixed = versions.parse(row["fixed"])
    enough = versions.at_least(parts, fixed)
    missed = _missed(parts, tables)
    about = f"bulletin {row['bulletin']} of {row['date']}"
    if enough is None:
        why, behind, needs = f"driver {version} does not settle whether it is {row['fixed']} or newer", None, None
    elif enough:
        why, behind, needs = f"it has the fixes of {about}, the last for branch {parts[0]}", False, None
    else:
        why = f"branch {parts[0]} was last fixed in {row['fixed']} ({about})"
        behind, needs = True, f"driver {row['fixed']} or newer"
    return Fixes(behind, row["fixed"], row["date"], row["bulletin"], missed, why, needs, source(row))


def _missed(parts: tuple[int, ...], tables: Tables) -> int:
    missed = 0
    for row in tables.rows("bulletins"):
        for text in row.get("fixed", ()):
            fixed = versions.parse(text)
            missed += fixed[0] == parts[0] and versions.at_least(parts, fixed) is False
    return missed


def toolkit(cuda: str, tables: Tables = SHIPPED) -> tuple[str | None, str | None, str]:
    """Return the first toolkit version with all known security fixes, the last bulletin's date, and the source."""
    rows = [row for row in tables.rows("product_fixes") if row["product"] == "cuda-toolkit"]
    newer = [row for row in rows if versions.at_least(versions.parse(cuda), versions.parse(row["fixed"])) is False]
    if not newer:
        return None, None, ""
    row = max(newer, key=lambda one: versions.parse(one["fixed"]))
    return row["fixed"], row["date"], source(row)
