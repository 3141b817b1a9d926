"""Where a key stands in a TOML file, for error messages: tomllib keeps no positions.

Each line that opens a table or a value is given to tomllib alone, so that TOML's own quoting rules decide
what the key is.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Union

from preflight import toml

Path = tuple[Union[str, int], ...]


def line_of(text: str, path: Path, exact: bool = False) -> int | None:
    """Return the 1-based line where ``path`` (keys, and positions in arrays of tables) is set.

    Falls back to the nearest enclosing table unless ``exact``; None where even that is not written in the file.
    """
    lines = _lines(text)
    for length in range(len(path), len(path) - 1 if exact else 0, -1):
        if path[:length] in lines:
            return lines[path[:length]]
    return None


@lru_cache(maxsize=16)
def _lines(text: str) -> dict[Path, int]:
    """Return where each path is first written; kept, since a policy of many rows asks once a row."""
    return dict(reversed(list(_places(text))))


def _places(text: str) -> Iterator[tuple[Path, int]]:
    table: Path = ()
    seen: dict[Path, int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if stripped.startswith("[["):
            name = _keys(stripped)
            position = seen.get(name, -1) + 1
            seen[name] = position
            table = (*name, position)
        elif stripped.startswith("["):
            table = _keys(stripped)
        elif "=" in stripped and not stripped.startswith("#"):
            yield from ((table + key, number) for key in _prefixes(_keys(stripped.split("=", 1)[0] + "= 0")))
            continue
        else:
            continue
        yield table, number


def _prefixes(keys: Path) -> Iterator[Path]:
    return (keys[: length + 1] for length in range(len(keys)))


def _keys(fragment: str) -> Path:
    """Return the keys of one line: '[checks."gpu.ecc"]' gives ("checks", "gpu.ecc")."""
    try:
        value: object = toml.loads(fragment)
    except (toml.TOMLDecodeError, RecursionError):
        return ()
    keys: list[str | int] = []
    while isinstance(value, dict) and value:
        key, value = next(iter(value.items()))
        keys.append(key)
        if isinstance(value, list):
            break
    return tuple(keys)
