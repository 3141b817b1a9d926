"""A site's own rows, from the file that the policy names: `[catalog] file = "/etc/preflight/catalog.toml"`."""

from __future__ import annotations

from typing import Any

from preflight import toml
from preflight.catalog.schema import MAX_BYTES, TABLES, CatalogError, Reader
from preflight.files import read_plain


def read(path: str) -> dict[str, Any]:
    """Return table -> rows of a site's file, for `Tables`; raises CatalogError with file and row of each mistake.

    A row that names no source has the file itself as its source.
    """
    try:
        raw = read_plain(path, MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            raise CatalogError([f"{path}: larger than {MAX_BYTES} bytes; is this the catalog?"])
        data = toml.loads(raw.decode())
    except OSError as error:
        raise CatalogError([f"{path}: cannot be read: {error.strerror}"]) from error
    except (toml.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CatalogError([f"{path}: not TOML: {error}"]) from error
    except RecursionError as error:
        raise CatalogError([f"{path}: tables or lists within each other, too deep to be a catalog"]) from error
    reader = Reader(path, data, fallback=path)
    unknown = [name for name in data if name not in TABLES and name not in ("sources", "as_of")]
    reader.errors += [f"{path}: unknown table {name}; there are {', '.join(TABLES)}" for name in unknown]
    rows = reader.tables(tuple(TABLES))
    if reader.errors:
        raise CatalogError(reader.errors)
    return dict(rows)
