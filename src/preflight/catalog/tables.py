"""The catalog's tables, each imported when it is first asked for, with a site's own rows over the shipped ones."""

from __future__ import annotations

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

    Row = dict[str, Any]
else:
    Row = dict

# table -> (module of compiled/, the fields that name a row), as in preflight.catalog.schema; a test compares the two.
WHERE = {
    "toolkits": ("toolkits", ("version",)),
    "toolkit_tables": ("toolkit_os", ("cuda", "arch")),
    "toolkit_os": ("toolkit_os", ("cuda", "arch", "os", "version")),
    "repositories": ("toolkit_os", ("repository", "arch")),
    "branches": ("drivers", ("branch",)),
    "architectures": ("gpus", ("capability",)),
    "products": ("gpus", ("model",)),
    "nvlinks": ("gpus", ("version",)),
    "forward": ("forward", ("cuda",)),
    "distributions": ("distributions", ("os", "version", "stream")),
    "jetpacks": ("distributions", ("l4t",)),
    "fixes": ("security", ("branch",)),
    "bulletins": ("security", ("bulletin",)),
    "product_fixes": ("security", ("product", "bulletin")),
    "xids": ("xids", ("code",)),
    "ngc_releases": ("containers", ("release",)),
    "frameworks": ("libraries", ("framework", "version")),
    "cudnn": ("libraries", ("version",)),
    "wheels": ("wheels", ("family", "version", "build", "arch")),
}


class Tables:
    """The shipped tables, or those with a site's rows merged in: table -> rows, as `preflight.catalog.site` reads them.

    ``memo`` keeps what was worked out from the tables, key -> answer; they never change.

    A site's row whose naming fields are a shipped row's replaces the fields that it states; any other is added.
    """

    def __init__(self, site: dict[str, Any] | None = None) -> None:
        self._site = site or {}
        self._merged: dict[str, tuple[Row, ...]] = {}
        self.memo: dict[object, Any] = {}

    def rows(self, table: str) -> tuple[Row, ...]:
        """Return the rows of a table (a name in WHERE), each a dict; an absent field is not known."""
        found = self._merged.get(table)
        if found is None:
            found = self._merged[table] = self._load(table)
        return found

    def find(self, table: str, field: str, value: object) -> Row | None:
        """Return the first row whose field has a value, None where there is none."""
        return next((row for row in self.rows(table) if row.get(field) == value), None)

    def _load(self, table: str) -> tuple[Row, ...]:
        name, keys = WHERE[table]
        package = f"preflight.catalog.compiled.{name}"
        module = __import__(package, fromlist=[table])
        shipped: tuple[Row, ...] = getattr(module, table.upper())
        own = self._site.get(table)
        if not own:
            return shipped
        merged = {tuple(row.get(key) for key in keys): row for row in shipped}
        for row in own:
            key = tuple(row.get(one) for one in keys)
            merged[key] = {**merged.get(key, {}), **row}
        return tuple(merged.values())


SHIPPED = Tables()


def source(*rows: Row | None) -> str:
    """Return the documents that rows come from, the first of each, each once."""
    return "; ".join(dict.fromkeys(str(row["source"][0]) for row in rows if row))
