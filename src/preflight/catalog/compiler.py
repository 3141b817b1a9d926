"""Which host compilers a CUDA toolkit takes."""

from __future__ import annotations

from preflight.catalog import versions
from preflight.catalog.tables import SHIPPED, Row, Tables, source
from preflight.tuples import NamedTuple

OK, TOO_NEW, TOO_OLD, UNKNOWN = "ok", "too_new", "too_old", "unknown"


class Compilers(NamedTuple):
    """Major versions that nvcc's crt/host_config.h lets through; None where no source says.

    ``answer`` for the compiler that was asked about: ok, too_new, too_old; unknown also where none was named.
    """

    answer: str
    min_gcc: int | None
    max_gcc: int | None
    min_clang: int | None
    max_clang: int | None
    why: str
    needs: str | None
    source: str


def compilers(cuda: str, *, gcc: str | None = None, clang: str | None = None, tables: Tables = SHIPPED) -> Compilers:
    """Return the host compilers of a toolkit ("12.4", or "11.4.0" to the update), and judge ``gcc`` or ``clang``."""
    row = _stated(cuda, tables)
    gcc_min, gcc_max = row.get("gcc_min"), row.get("gcc_max")
    clang_min, clang_max = row.get("clang_min"), row.get("clang_max")
    name, text, low, high = ("gcc", gcc, gcc_min, gcc_max) if gcc else ("clang", clang, clang_min, clang_max)
    major = (versions.parse(text) or (None,))[0] if text else None
    answer, needs = UNKNOWN, None
    if major is not None and high is not None:
        answer = TOO_NEW if major > high else TOO_OLD if low is not None and major < low else OK
        if answer != OK:
            needs = f"{name} {high if answer == TOO_NEW else low}, named with nvcc -ccbin or NVCC_CCBIN"
    limit = f"gcc up to {gcc_max}, clang up to {clang_max}" if gcc_max else "compilers that no source names"
    came_from = str(row.get("compiler_source") or "")
    return Compilers(answer, gcc_min, gcc_max, clang_min, clang_max, f"CUDA {cuda} takes {limit}", needs, came_from)


def _stated(cuda: str, tables: Tables) -> Row:
    """Return what the rows of the release state together, a later update over an earlier; up to the asked update."""
    asked, parts = versions.minor(cuda), versions.parse(cuda)
    rows = [
        row for row in tables.rows("toolkits") if versions.minor(row["version"]) == asked and not row.get("preview")
    ]
    rows.sort(key=lambda row: versions.parse(row["version"]))
    merged: Row = {}
    for row in rows:
        if len(parts) > 2 and versions.parse(row["version"]) > parts and merged:
            break
        merged.update(row)
    return merged


def default_gcc(os_id: str, version: str, tables: Tables = SHIPPED) -> tuple[str | None, str]:
    """Return the gcc that a distribution release brings, by NVIDIA's tables for that point release, and the source.

    "rhel", "9.4" is 11.4.1, "9.6" is 11.5.0; None where neither a table nor the distribution's row says.
    """
    from preflight.catalog import families

    name = families.canonical(os_id)
    stated = versions.parse(version)
    exact = [
        row for row in tables.rows("toolkit_os") if row["os"] == name and versions.parse(row.get("upto", "")) == stated
    ]
    row = next((one for one in exact if one.get("gcc") and one["arch"] == "x86_64"), None)
    if row is None:
        fitting = [one for one in tables.rows("distributions") if one["os"] == name]
        row = next(
            (one for one in fitting if stated[: len(versions.parse(one["version"]))] == versions.parse(one["version"])),
            None,
        )
    return (row.get("gcc"), source(row)) if row else (None, "")
