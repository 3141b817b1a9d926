"""Reading the policy's [[host]] rows, validated by what each kind declares."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Any

from preflight.facts.host.kind import Kind, every_kind
from preflight.facts.host.match import is_regex, share, size
from preflight.policy.model import CheckPolicy, HostRow
from preflight.policy.rules import NODES, Rule
from preflight.times import seconds

if TYPE_CHECKING:
    from collections.abc import Iterable

    from preflight.policy.load import Reader

TABLES = {
    "host": "",
    "command": "command",
}  # tables of rows: [[host]]; another table's rows are all of one kind, its value here
PHASES = ("prolog", "epilog", "health")
ACTIONS = ("drain", "warn", "off")
MAX_ROWS = 1000


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value or not value.isprintable():
        raise ValueError(f"needs a text, not {value!r:.60}")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"needs true or false, not {value!r:.60}")
    return value


def _path(value: Any) -> str:
    if not _text(value).startswith("/"):
        raise ValueError(f"needs an absolute path, not {value!r:.60}")
    return str(value)


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 63:
        raise ValueError(f"needs a whole number, not {value!r:.60}")
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1e18:
        raise ValueError(f"needs a number, not {value!r:.60}")
    return value


def _size(value: Any) -> str:
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else _text(value)
    size(text)
    return text


def _amount(value: Any) -> str:
    if isinstance(value, str) and value.strip().endswith("%"):
        share(value)
        return value
    try:
        return _size(value)
    except ValueError as error:
        raise ValueError(f'needs a size such as "10G" or a share such as "5%", not {value!r:.60}') from error


def _share(value: Any) -> str:
    share(_text(value))
    return str(value)


def _percent(value: Any) -> str:
    share(_text(value), 100_000)
    return str(value)


def _time(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f'needs a time such as "90s", "10m", "2h" or "1d", not {value!r:.60}')
    seconds(value)
    return value


def _mode(value: Any) -> str:
    if not re.fullmatch(r"[0-7]{3,4}", _text(value)):
        raise ValueError(f'needs permissions such as "0644", not {value!r:.60}')
    return str(value)


def _pattern(value: Any) -> str:
    text = _text(value)
    bare = text.lstrip("!")
    if is_regex(bare):
        try:
            re.compile(bare[1:-1])
        except (re.error, RecursionError, OverflowError) as error:
            raise ValueError(f"is no regular expression: {value!r:.60}: {error}") from error
    return text


def _several(rule: Rule) -> Rule:
    def apply(value: Any) -> list[Any]:
        return [rule(one) for one in (value if isinstance(value, list) else [value])]

    return apply


def _name(value: Any) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", _text(value)):
        raise ValueError(f"needs a name of letters, digits, _ . and -, not {value!r:.60}")
    return str(value)


TYPES: dict[str, Rule] = {
    "name": _name,
    "text": _text,
    "texts": _several(_text),
    "flag": _flag,
    "path": _path,
    "paths": _several(_path),
    "pattern": _pattern,
    "patterns": _several(_pattern),
    "count": _count,
    "counts": _several(_count),
    "number": _number,
    "size": _size,
    "share": _share,
    "percent": _percent,
    "amount": _amount,
    "time": _time,
    "mode": _mode,
}


def rule_of(declared: str) -> tuple[Rule, bool]:
    """Return the rule of a key's declaration "TYPE[!] [UNIT]: help", and whether a row must have the key."""
    words = declared.partition(":")[0].split()
    name = words[0].removesuffix("!")
    if name in ("choice", "choices"):
        one = _choice(tuple(words[1].split("|")))
        return (one if name == "choice" else _several(one)), words[0] != name
    return TYPES[name], words[0] != name


def _choice(words: tuple[str, ...]) -> Rule:
    def apply(value: Any) -> str:
        if value not in words:
            raise ValueError(f"needs one of {', '.join(words)}, not {value!r:.60}")
        return str(value)

    return apply


ROW: dict[str, Rule] = {"nodes": NODES, "action": _choice(ACTIONS), "phases": _several(_choice(PHASES))}


def read_rows(reader: Reader, table: str, data: Any) -> list[HostRow]:
    """Return the rows of [[``table``]]; what is wrong becomes the reader's error, a kind that is none its warning."""
    if not isinstance(data, list):
        reader.errors.append(f"{reader.where((table,))}: write [[{table}]], with two brackets")
        return []
    if len(data) > MAX_ROWS:
        reader.errors.append(f"{reader.where((table,))}: more than {MAX_ROWS} rows")
        return []
    kinds = every_kind()
    found = (_row(reader, (table, at), one, kinds, TABLES[table]) for at, one in enumerate(data))
    return [row for row in found if row is not None]


def _row(reader: Reader, at: tuple[str, int], data: Any, kinds: dict[str, Kind], only: str) -> HostRow | None:
    if not isinstance(data, dict):
        reader.errors.append(f"{reader.where(at)}: needs a table, not {data!r:.100}")
        return None
    rest = dict(data)
    name = only or rest.pop("check", None)
    if name is None:
        reader.errors.append(f"{reader.where(at)}: needs a key check: one of {', '.join(kinds)}")
        return None
    if name not in kinds:
        near = difflib.get_close_matches(str(name), kinds, 1)
        hint = f"did you mean {near[0]}?" if near else f"one of {', '.join(kinds)}"
        reader.warnings.append(f"{reader.where((*at, 'check'))}: no kind is named {str(name)!r:.60}; {hint}")
        return None
    kind = kinds[name]
    rules = {key: rule_of(declared) for key, declared in kind.keys.items()}
    errors = len(reader.errors)
    args = reader.table(rest, {**ROW, **{key: rule for key, (rule, _) in rules.items()}}, at)
    told = {key: args.pop(key) for key in ROW if key in args}
    phases = tuple(told.get("phases", kind.phases))
    _needed(reader, at, kind, rest, [key for key, (_, must) in rules.items() if must])
    if kind.dear and "prolog" in phases:
        where = reader.where((*at, "phases"))
        reader.errors.append(f"{where}: {name} is too dear for a prolog; epilog and health there are")
    if len(reader.errors) > errors:
        return None
    place = reader.where(at).rpartition(": ")[0]
    return HostRow(name, told.get("nodes", ""), told.get("action", ""), phases, kind.users(args), args, place)


def _needed(reader: Reader, at: tuple[str, int], kind: Kind, row: dict[str, Any], must: list[str]) -> None:
    for group in (*((key,) for key in must), *kind.needs):
        if not any(key in row for key in group):
            what = f"a key {group[0]}" if len(group) == 1 else f"one of the keys {', '.join(group)}"
            reader.errors.append(f"{reader.where(at)}: {kind.name} needs {what}")


def cannot_drain(rows: Iterable[HostRow], checks: dict[str, CheckPolicy]) -> list[str]:
    """Return a line for each row that asks for a drain which users could bring about: it only warns."""
    found = []
    for row in rows:
        asked = row.action or (checks[f"host.{row.check}"].action if f"host.{row.check}" in checks else "")
        if asked == "drain" and row.users:
            found.append(f'{row.place}: host.{row.check}: action = "drain" only warns here: {row.users}')
    return found
