"""The shape of the catalog's tables, and the reader that validates them; for compiling and for a site's own file."""

from __future__ import annotations

from datetime import date
from typing import Any

from preflight.catalog import versions

MAX_BYTES = 1 << 20
VERSION, DATE, DAY, TEXT, COUNT, NUMBER, FLAG = (
    "version",
    "date",
    "day",
    "text",
    "whole number",
    "number",
    "true or false",
)
VERSIONS, TEXTS, COUNTS = "list of versions", "list of texts", "list of whole numbers"
_ONE_OF = {VERSIONS: VERSION, TEXTS: TEXT, COUNTS: COUNT}

# table -> (the file it stands in, the fields that name a row, field -> kind); the naming fields are required.
TABLES: dict[str, tuple[str, tuple[str, ...], dict[str, str]]] = {
    "toolkits": (
        "toolkits",
        ("version",),
        {
            **dict.fromkeys(("version", "driver", "minimum_driver"), VERSION),
            **dict.fromkeys(("released", "packaged"), DATE),
            **dict.fromkeys(("branch", "gcc_min", "gcc_max", "clang_min", "clang_max"), COUNT),
            **dict.fromkeys(("preview", "ppc64le"), FLAG),
            "capabilities": VERSIONS,
            "compiler_source": "source",
        },
    ),
    "toolkit_tables": ("toolkit_os", ("cuda", "arch"), {"cuda": VERSION, "arch": TEXT}),
    "toolkit_os": (
        "toolkit_os",
        ("cuda", "arch", "os", "version"),
        {
            **dict.fromkeys(("cuda", "version", "upto", "gcc", "glibc"), VERSION),
            **dict.fromkeys(("arch", "os", "kernel"), TEXT),
        },
    ),
    "repositories": (
        "toolkit_os",
        ("repository", "arch"),
        {
            **dict.fromkeys(("repository", "arch", "os"), TEXT),
            **dict.fromkeys(("version", "first", "last"), VERSION),
            "cut": FLAG,
            "absent": VERSIONS,
        },
    ),
    "branches": (
        "drivers",
        ("branch",),
        {
            "branch": COUNT,
            **dict.fromkeys(("type", "status"), TEXT),
            **dict.fromkeys(("first", "latest", "cuda", "kernel_min"), VERSION),
            **dict.fromkeys(("released", "eol", "latest_date"), DATE),
            "archs": TEXTS,
        },
    ),
    "architectures": (
        "gpus",
        ("capability",),
        {
            **dict.fromkeys(("capability", "once", "first_cuda", "last_cuda"), VERSION),
            "arch": TEXT,
            **dict.fromkeys(("first_driver", "last_driver"), COUNT),
        },
    ),
    "products": (
        "gpus",
        ("model",),
        {
            **dict.fromkeys(("model", "name", "kind", "form"), TEXT),
            "capability": VERSION,
            "memory_gb": COUNTS,
            "nvlinks": COUNT,
            "nvlink": VERSION,
            "pci_ids": TEXTS,
        },
    ),
    "nvlinks": ("gpus", ("version",), {"version": VERSION, "speed": COUNT}),
    "forward": (
        "forward",
        ("cuda",),
        {"cuda": VERSION, "native_from": COUNT, "hosts": COUNTS, "tesla_only": COUNTS, "uncertain": FLAG},
    ),
    "distributions": (
        "distributions",
        ("os", "version", "stream"),
        {
            **dict.fromkeys(("os", "latest"), TEXT),
            **dict.fromkeys(("version", "kernel", "glibc", "gcc"), VERSION),
            **dict.fromkeys(("released", "full_support_end", "eol", "lts_end", "extended_eol"), DATE),
            "stream": FLAG,
        },
    ),
    "jetpacks": (
        "distributions",
        ("l4t",),
        {**dict.fromkeys(("jetpack", "l4t", "ubuntu", "cuda"), VERSION), "released": DATE},
    ),
    "fixes": ("security", ("branch",), {"branch": COUNT, "fixed": VERSION, "bulletin": COUNT, "date": DAY}),
    "bulletins": ("security", ("bulletin",), {"bulletin": COUNT, "date": DAY, "worst": NUMBER, "fixed": VERSIONS}),
    "product_fixes": (
        "security",
        ("product", "bulletin"),
        {"product": TEXT, "fixed": VERSION, "bulletin": COUNT, "date": DAY, "worst": NUMBER},
    ),
    "xids": (
        "xids",
        ("code",),
        {"code": COUNT, **dict.fromkeys(("name", "category", "action", "detail"), TEXT), "application": FLAG},
    ),
    "ngc_releases": ("containers", ("release",), {"release": VERSION, "cuda": VERSION, "images": TEXTS}),
    "frameworks": (
        "libraries",
        ("framework", "version"),
        {
            **dict.fromkeys(("framework", "cuda", "cudnn", "nccl"), TEXT),
            **dict.fromkeys(("version", "python_min"), VERSION),
        },
    ),
    "cudnn": (
        "libraries",
        ("version",),
        {
            **dict.fromkeys(("version", "capability_min", "capability_max"), VERSION),
            **dict.fromkeys(("cuda", "driver"), TEXT),
        },
    ),
    "wheels": (
        "wheels",
        ("family", "version", "build", "arch"),
        {
            **dict.fromkeys(("family", "build", "arch"), TEXT),
            **dict.fromkeys(("version", "cuda", "glibc", "python"), VERSION),
            "targets": TEXTS,
        },
    ),
}
OPTIONAL_KEYS = ("stream",)
FILES = tuple(dict.fromkeys(file for file, _, _ in TABLES.values()))
Rows = dict[str, list[dict[str, Any]]]


class CatalogError(ValueError):
    """Data that cannot be used: one line for each mistake, "FILE: TABLE row N (its name): what is wrong"."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


class Reader:
    """Validates the tables of one file; collects mistakes.

    ``sources`` are the file's; ``fallback`` is the source of rows that name none (a site's file), else they must.
    """

    def __init__(self, path: str, data: dict[str, Any], fallback: str | None = None) -> None:
        self.path, self.fallback, self.data = path, fallback, data
        self.errors: list[str] = []
        sources = data.get("sources", {})
        known = isinstance(sources, dict) and all(isinstance(text, str) and text for text in sources.values())
        if not known:
            self.errors.append(f"{path}: [sources] needs a text for each name")
        self.sources: dict[str, str] = sources if known else {}

    def tables(self, names: tuple[str, ...]) -> Rows:
        """Return the rows of the tables ``names`` that the file holds."""
        found: Rows = {}
        for name in names:
            if name not in self.data:
                continue
            rows = self.data[name]
            if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
                self.errors.append(f"{self.path}: {name}: needs a list of rows, [[{name}]]")
                continue
            found[name] = self._rows(name, rows)
        return found

    def _rows(self, table: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        _, keys, _ = TABLES[table]
        seen: set[tuple[Any, ...]] = set()
        made = []
        for number, row in enumerate(rows, 1):
            key = row_key(table, row)
            shown = " ".join(str(part) for part in key if part is not None)
            where = f"{self.path}: {table} row {number} ({shown[:60]})"
            missing = [name for name in keys if name not in row and name not in OPTIONAL_KEYS]
            if missing:
                self.errors.append(f"{where}: needs {', '.join(missing)}")
            try:
                if key in seen:
                    self.errors.append(f"{where}: stands twice")
                seen.add(key)
            except TypeError:  # a list where a text belongs: told below
                pass
            made.append(self._row(table, row, where))
        return made

    def _row(self, table: str, row: dict[str, Any], where: str) -> dict[str, Any]:
        kinds = TABLES[table][2]
        made: dict[str, Any] = {}
        for field, value in row.items():
            kind = TEXT if field == "note" else TEXTS if field == "source" else kinds.get(field)
            if kind is None:
                self.errors.append(f"{where}: unknown field {field}; there are {', '.join(kinds)}, note, source")
                continue
            if field == "source" and isinstance(value, str):
                value = [value]
            try:
                made[field] = self._value(kind, value)
            except ValueError as error:
                self.errors.append(f"{where}: {field} {error}")
        model = made.get("model")
        if table == "products" and model and not all(word.isalnum() for word in model.split()):
            self.errors.append(f"{where}: model needs the words of the reported name, with blanks for other signs")
        self._sources(made, where)
        return made

    def _sources(self, made: dict[str, Any], where: str) -> None:
        """Replace the names of sources by what they stand for."""
        named = made.get("source") or []
        if not named and self.fallback is None:
            self.errors.append(f"{where}: needs a source")
        texts = []
        for name in named:
            if name not in self.sources and self.fallback is None:
                self.errors.append(f"{where}: source {name!r} is not in [sources]")
            texts.append(self.sources.get(name, name))
        made["source"] = texts or [self.fallback or ""]

    def _value(self, kind: str, value: Any) -> Any:
        if kind in _ONE_OF:
            if not isinstance(value, list):
                raise ValueError(f"needs a {kind}, not {value!r}")
            return [self._value(_ONE_OF[kind], one) for one in value]
        if kind == "source":
            return self.sources.get(value, value) if isinstance(value, str) else self._value(TEXT, value)
        if kind in (DATE, DAY):
            return _date(value, day=kind == DAY)
        if kind == VERSION and not (isinstance(value, str) and versions.parse(value)):
            raise ValueError(f'needs a version such as "12.4", not {value!r}')
        if kind == TEXT and not (isinstance(value, str) and value and value.isprintable()):
            raise ValueError(f"needs a text, not {value!r}")
        if kind == FLAG and not isinstance(value, bool):
            raise ValueError(f"needs true or false, not {value!r}")
        numeric = isinstance(value, (int, float)) and not isinstance(value, bool)
        if kind in (COUNT, NUMBER) and not (numeric and value >= 0 and (kind == NUMBER or isinstance(value, int))):
            raise ValueError(f"needs a {kind}, not {value!r}")
        return value


def row_key(table: str, row: dict[str, Any]) -> tuple[Any, ...]:
    """Return what names a row; two rows of one key are one row, and a site's replaces fields of the shipped one."""
    return tuple(row.get(name) for name in TABLES[table][1])


def _date(value: Any, day: bool) -> str:
    """Return a date as text, "2026-06-30", or a month "2026-06" where a day is not needed."""
    if isinstance(value, date):
        return value.isoformat()[:10]
    wanted = "a date such as 2026-06-30" if day else 'a date such as 2026-06-30, or a month such as "2026-06"'
    if isinstance(value, str):
        try:
            date.fromisoformat(f"{value}-01" if len(value) == 7 and not day else value)
            return value
        except ValueError:
            pass
    raise ValueError(f"needs {wanted}, not {value!r}")
