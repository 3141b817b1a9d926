"""Reading preflight.toml: every mistake gets file, line and key; an unknown key is a warning."""

import difflib
import hashlib
import os
import tomllib
from collections.abc import Callable
from typing import Any

from preflight.catalog import site
from preflight.catalog.schema import CatalogError
from preflight.hostlist import HostlistError, contains, names
from preflight.policy import model
from preflight.policy.locate import Path, line_of
from preflight.policy.model import CheckPolicy, Expectation, Policy
from preflight.requirements.grammar import RequirementError, parse

MAX_BYTES = 1 << 20


class PolicyError(ValueError):
    """A policy that cannot be used: one line for each mistake, "FILE:LINE: KEY: what is wrong"."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


Rule = Callable[[Any], Any]


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.isprintable():
        raise ValueError(f"needs a text, not {value!r}")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"needs true or false, not {value!r}")
    return value


def _path(value: Any) -> str:
    if _text(value) and not value.startswith("/"):
        raise ValueError(f"needs an absolute path, not {value!r}")
    return str(value)


def _place(value: Any) -> str:
    if not _path(value):
        raise ValueError("needs an absolute path, not an empty text")
    return str(value)


def _list(rule: Rule) -> Rule:
    def apply(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise ValueError(f"needs a list, not {value!r}")
        return tuple(rule(one) for one in value)

    return apply


def _number(low: float, high: float, unit: str, kind: type[int] | type[float] = float) -> Rule:
    def apply(value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, (int, kind)) or not low <= value <= high:
            raise ValueError(f"needs {low:g} to {high:g} {unit}, not {value!r}")
        return kind(value)

    return apply


def _choice(*words: str) -> Rule:
    def apply(value: Any) -> str:
        if value not in words:
            raise ValueError(f"needs one of {', '.join(words)}, not {value!r}")
        return str(value)

    return apply


def _share(value: Any) -> str:
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    digits = text.removesuffix("%") if isinstance(text, str) else ""
    if not (digits.isascii() and digits.isdigit()) or (text.endswith("%") and int(digits) > 100):
        raise ValueError(f'needs a number of nodes or a share such as "5%", not {value!r}')
    return str(text)


def _nodes(value: Any) -> str:
    try:
        names(_text(value))
    except HostlistError as error:
        raise ValueError(f"is {error}") from error
    return str(value)


def _require(value: Any) -> str:
    try:
        return parse(_text(value)).text()
    except RequirementError as error:
        raise ValueError(f"is not a requirement: {error.message}") from error


MODE = _choice("enforce", "observe")
RULES: dict[str, dict[str, Rule]] = {
    "": {"version": _number(1, 1, "(the only version there is)", int), "cluster": _text, "mode": MODE},
    "facts": {"root": _place, "live": _flag, "cuda_prefixes": _list(_path), "module_paths": _list(_path)},
    "nvml": {"library": _path},
    "hook": {
        "deadline_s": _number(1, 60, "seconds"),
        "on_unknown": _choice("run", "move"),
        "max_requeues": _number(0, 1000, "requeues", int),
        "slurm_bin": _path,
        "slurm_conf": _path,
    },
    "report": {
        "spool": _place,
        "dir": _path,
        "search": _list(_path),
        "admin_group": _text,
        "write_s": _number(0, 30, "seconds"),
        "keep_days": _number(1, 36500, "days", int),
    },
    "drain": {"max_nodes": _share, "kill_switch": _path},
    "publish": {"enabled": _flag, "via": _choice("auto", "extra", "features")},
    "cuda": {"minor_version_compatibility": _choice("accept", "warn", "reject")},
    "catalog": {"file": _path},
}
CHECK: dict[str, Rule] = {
    "action": _choice("drain", "warn", "off"),
    "limit": _number(0, 1e18, "in the check's unit"),
    "mode": MODE,
}
EXPECT: dict[str, Rule] = {"nodes": _nodes, "partitions": _list(_text), "require": _require}


class _Reader:
    """Collects values, mistakes and warnings of one file."""

    def __init__(self, text: str, path: str) -> None:
        self.text, self.path = text, path
        self.errors: list[str] = []
        self.warnings: list[str] = []

    def where(self, keys: Path) -> str:
        line = line_of(self.text, keys)
        name = ".".join(f"{key}" if str(key).isidentifier() or isinstance(key, int) else f'"{key}"' for key in keys)
        return f"{self.path}{f':{line}' if line else ''}: {name}"

    def table(self, data: Any, rules: dict[str, Rule], at: Path) -> dict[str, Any]:
        values: dict[str, Any] = {}
        if not isinstance(data, dict):
            self.errors.append(f"{self.where(at)}: needs a table, not {data!r}")
            return values
        for key, value in data.items():
            if key not in rules:
                near = difflib.get_close_matches(key, rules, 1)
                hint = f"; did you mean {near[0]}?" if near else ""
                self.warnings.append(f"{self.where((*at, key))}: unknown key{hint}")
                continue
            try:
                values[key] = rules[key](value)
            except ValueError as error:
                self.errors.append(f"{self.where((*at, key))}: {error}")
        return values


def parse_policy(text: str, path: str) -> Policy:
    """Return the policy in ``text``; raises PolicyError. ``path`` is only named in messages."""
    reader = _Reader(text, path)
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PolicyError([f"{path}:{_line(text, str(error))}: not TOML: {error}"]) from error
    tables = {"checks": data.pop("checks", {}), "expect": data.pop("expect", [])}
    sections = {name: data.pop(name) for name in model.SECTIONS if name in data}
    values = reader.table(data, RULES[""], ())
    if "version" not in data:
        reader.errors.append(f"{path}:1: version: missing; write version = 1")
    for name, section in sections.items():
        values[name] = model.SECTIONS[name](**reader.table(section, RULES[name], (name,)))
    values["checks"] = _checks(reader, tables["checks"])
    values["expect"] = _expectations(reader, tables["expect"])
    if "catalog" in values and values["catalog"].file:
        values["catalog_rows"] = _catalog_rows(reader, values["catalog"].file)
    if reader.errors:
        raise PolicyError(reader.errors)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return Policy(**values, path=path, sha256=digest, warnings=tuple(reader.warnings))


def _catalog_rows(reader: _Reader, path: str) -> dict[str, Any]:
    """Return the rows of the site's catalog file; its mistakes are the policy's."""
    try:
        return site.read(path)
    except CatalogError as error:
        reader.errors += [f"{reader.where(('catalog', 'file'))}: {line}" for line in error.lines]
        return {}


def _line(text: str, message: str) -> int:
    """Return the line that tomllib's message names, "(at line 3, column 5)"; the last one for "end of document"."""
    digits = message.rpartition("(at line ")[2].partition(",")[0]
    return int(digits) if digits.isdigit() else max(1, len(text.splitlines()))


def _checks(reader: _Reader, data: Any) -> dict[str, CheckPolicy]:
    if not isinstance(data, dict):
        reader.errors.append(f'{reader.where(("checks",))}: needs tables such as [checks."gpu.ecc.uncorrected"]')
        return {}
    return {name: CheckPolicy(**reader.table(one, CHECK, ("checks", name))) for name, one in data.items()}


def _expectations(reader: _Reader, data: Any) -> tuple[Expectation, ...]:
    if not isinstance(data, list):
        reader.errors.append(f"{reader.where(('expect',))}: write [[expect]], with two brackets")
        return ()
    found = []
    for position, one in enumerate(data):
        values = reader.table(one, EXPECT, ("expect", position))
        if isinstance(one, dict) and "require" not in one:
            reader.errors.append(f"{reader.where(('expect', position))}: needs a key require")
        found.append(Expectation(**values))
    return tuple(found)


def for_node(policy: Policy, node: str) -> Policy:
    """Return the policy as ``node`` sees it: %n replaced in paths, only its own expectations kept."""

    def named(section: Any) -> Any:
        return type(section)(*(_named(value, node) for value in section))

    mine = (one for one in policy.expect if not one.nodes or contains(one.nodes, node))
    sections = {name: named(getattr(policy, name)) for name in ("facts", "nvml", "hook", "report", "drain")}
    return policy._replace(expect=tuple(one._replace(nodes=node) for one in mine), **sections)


def _named(value: Any, node: str) -> Any:
    if isinstance(value, str):
        return value.replace("%n", node)
    return tuple(_named(one, node) for one in value) if isinstance(value, tuple) else value


def load_policy(path: str | None = None, node: str | None = None) -> Policy:
    """Return the site's policy for ``node`` (default: this host), or the defaults where no file is named or installed.

    ``path``, else $PREFLIGHT_CONFIG, names the file; else it is DEFAULT_PATH.

    Raises PolicyError where the file is named but cannot be read, or is wrong.
    """
    asked = path or os.environ.get("PREFLIGHT_CONFIG")
    named = asked or model.DEFAULT_PATH
    if not asked and not os.path.exists(named):
        return for_node(Policy(), node or node_name())
    return for_node(parse_policy(read_text(named), named), node or node_name())


def read_text(path: str) -> str:
    """Return the policy file's text; raises PolicyError with one line."""
    try:
        with open(path, "rb") as file:
            raw = file.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            raise PolicyError([f"{path}: larger than {MAX_BYTES} bytes; is this the policy?"])
        return raw.decode()
    except OSError as error:
        raise PolicyError([f"{path}: cannot be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise PolicyError([f"{path}: not UTF-8 text at byte {error.start}"]) from error


def node_name() -> str:
    """Return SLURMD_NODENAME, else the short host name."""
    return os.environ.get("SLURMD_NODENAME") or _hostname()


def _hostname() -> str:
    import socket

    return socket.gethostname().split(".")[0]
