"""Is it still supported, and until when: a distribution release, a driver branch, a toolkit. On a given day."""

from __future__ import annotations

from preflight.catalog import VERSION as CATALOG
from preflight.catalog import drivers, families, security, versions
from preflight.catalog.tables import SHIPPED, Row, Tables, source
from preflight.tuples import NamedTuple

SUPPORTED, EXTENDED, EOL, UNKNOWN = "supported", "extended", "eol", "unknown"


class OsLife(NamedTuple):
    """``eol`` ends free or standard support, ``extended_eol`` paid or long-term; dates, or months, as text.

    ``answer`` is supported, extended (past eol, before extended_eol), eol or unknown.
    """

    answer: str
    eol: str | None
    extended_eol: str | None
    why: str
    needs: str | None
    source: str


class DriverLife(NamedTuple):
    """``type`` is lts, pb, nfb, dev or None; ``eol`` a date or month, None where none was given; ``latest`` release."""

    answer: str
    branch: int | None
    type: str | None
    eol: str | None
    latest: str | None
    why: str
    needs: str | None
    source: str


class ToolkitLife(NamedTuple):
    """``latest`` is the newest update of the release, ``newest`` the newest release; ``fixed`` has all known fixes.

    NVIDIA publishes no end of support for toolkits, so ``answer`` is unknown for every toolkit that exists.
    """

    answer: str
    released: str | None
    latest: str | None
    newest: str | None
    fixed: str | None
    why: str
    source: str


class JetPack(NamedTuple):
    """What an L4T release belongs to."""

    jetpack: str | None
    ubuntu: str | None
    cuda: str | None
    source: str


def over(end: str, today: str) -> bool:
    """Tell whether a date, or the last day of a month ("2026-06"), lies before ``today`` ("2026-11-24")."""
    return end < today[: len(end)]


def operating_system(
    os_id: str,
    version: str | None,
    today: str,
    *,
    stream: bool = False,
    support_end: str | None = None,
    tables: Tables = SHIPPED,
) -> OsLife:
    """Tell whether a distribution release is supported on ``today``.

    ``support_end`` is SUPPORT_END of its os-release; images keep an old one, so the later of the two counts.
    """
    name = families.canonical(os_id)
    shown = f"{families.title(name)} {'Stream ' if stream else ''}{version or '(no version)'}"
    row = _release(name, version, stream, tables)
    eol = _latest(row.get("eol") if row else None, support_end)
    if eol is None:
        why = f"no end of {shown} is known" if row else f"{shown} is not in the catalog"
        return OsLife(UNKNOWN, None, None, why, None, source(row))
    extended = (row.get("extended_eol") or row.get("lts_end")) if row else None
    came_from = source(row) or "SUPPORT_END in os-release"
    if not over(eol, today):
        whole = str(row["version"]) if row else ""
        own = not version or whole in ("", version)
        wider = "" if own else f" as all of {whole} is; the end of its own is not known"
        return OsLife(SUPPORTED, eol, extended, f"{shown} is supported until {eol}{wider}", None, came_from)
    if extended and not over(extended, today):
        why = f"standard support of {shown} ended {eol}; paid or long-term support lasts until {extended}"
        return OsLife(EXTENDED, eol, extended, why, "extended support, or a newer release", came_from)
    return OsLife(EOL, eol, extended, f"support of {shown} ended {eol}", "a newer release", came_from)


def _latest(*dates: str | None) -> str | None:
    return max((date for date in dates if date), default=None)


def _release(name: str, version: str | None, stream: bool, tables: Tables) -> Row | None:
    """Return the distribution's row with the most parts of the version in common: 9.4 has the row of 9."""
    stated = versions.parse(version or "")
    best: Row | None = None
    longest = 0
    for row in tables.rows("distributions"):
        own = versions.parse(row["version"])
        if row["os"] == name and bool(row.get("stream")) == stream and stated[: len(own)] == own and len(own) > longest:
            best, longest = row, len(own)
    return best


def driver(version: str, today: str, tables: Tables = SHIPPED) -> DriverLife:
    """Tell whether the branch of a driver is supported on ``today``."""
    row = drivers.branch(version, tables)
    if row is None:
        parts = versions.parse(version)
        why = _unlisted(parts[0], tables) if parts else f"{version} is no version"
        return DriverLife(UNKNOWN, parts[0] if parts else None, None, None, None, why, None, "")
    number, eol = row["branch"], row.get("eol")
    status = row.get("status")
    answer, needs = UNKNOWN, None
    if eol is not None:
        answer = EOL if over(eol, today) else SUPPORTED
    elif status in (SUPPORTED, EOL):
        answer = status
    if answer == EOL:
        needs = _living(today, tables)
        why = f"branch {number} ended {eol}" if eol else f"branch {number} has ended: a newer one took its place"
    elif answer == SUPPORTED:
        why = f"branch {number} is supported until {eol}" if eol else f"branch {number} is supported"
    else:
        why = f"no end of branch {number} is known" + (" (a preview)" if status == drivers.PREVIEW else "")
    return DriverLife(answer, number, row.get("type"), eol, row.get("latest"), why, needs, source(row))


def _unlisted(branch: int, tables: Tables) -> str:
    """Return what can be said of a branch that no table lists: published since, or never."""
    newest = max(row["branch"] for row in tables.rows("branches"))
    if branch > newest:
        return f"branch {branch} is newer than the catalog of {CATALOG}, whose newest is {newest}, or does not exist"
    return f"branch {branch} is not in the catalog of {CATALOG}, which lists those of data-center drivers"


def _living(today: str, tables: Tables) -> str | None:
    """Return the supported branches, for people."""
    rows = [row for row in tables.rows("branches") if row.get("eol") and row.get("status") == SUPPORTED]
    names = [f"{row['branch']} (until {row['eol']})" for row in rows if not over(row["eol"], today)]
    return f"a driver of branch {', '.join(names)}" if names else None


def toolkit(cuda: str, tables: Tables = SHIPPED) -> ToolkitLife:
    """Return what is known of a toolkit's age: its newest update, the newest release, the version with all fixes."""
    asked, stated = versions.minor(cuda), versions.parse(cuda)
    rows = [row for row in tables.rows("toolkits") if not row.get("preview")]
    mine = [row for row in rows if versions.minor(row["version"]) == asked]
    if not mine:
        return ToolkitLife(UNKNOWN, None, None, None, None, f"CUDA {cuda} is not in the catalog", "")
    latest = max(mine, key=lambda row: versions.parse(row["version"]))
    exact = next((row for row in mine if versions.parse(row["version"]) == stated), None)
    row = exact or min(mine, key=lambda one: versions.parse(one["version"]))
    newest = max(rows, key=lambda one: versions.parse(one["version"]))
    fixed, _, _ = security.toolkit((exact or latest)["version"], tables)
    why = "NVIDIA publishes no end of support for toolkits"
    return ToolkitLife(
        UNKNOWN,
        row.get("released") or row.get("packaged"),
        latest["version"],
        newest["version"],
        fixed,
        why,
        source(row),
    )


def jetpack(l4t: str, tables: Tables = SHIPPED) -> JetPack:
    """Return the JetPack of an L4T release ("36.4.3"), by the row with most parts in common."""
    stated = versions.parse(l4t)
    best: Row | None = None
    longest = 0
    for row in tables.rows("jetpacks"):
        own = versions.parse(row["l4t"])
        if stated[: len(own)] == own and len(own) > longest:
            best, longest = row, len(own)
    if best is None:
        return JetPack(None, None, None, "")
    return JetPack(best["jetpack"], best["ubuntu"], best["cuda"], source(best))
