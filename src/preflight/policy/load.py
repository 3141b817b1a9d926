"""Reading preflight.toml and its drop-ins: every mistake gets file, line and key.

An unknown key and a missing ``mode`` are warnings of the policy: `preflight config check` refuses them, a hook goes on
without them. A policy that does not say its mode, half of a file say, observes.
"""

from __future__ import annotations

import difflib
import hashlib
import os
from typing import Any

from preflight import toml
from preflight.catalog import site
from preflight.catalog.schema import CatalogError
from preflight.digits import is_whole
from preflight.policy import model
from preflight.policy.files import MAX_BYTES, drop_ins, read_bytes
from preflight.policy.locate import Path, line_of
from preflight.policy.model import CheckPolicy, Expectation, Policy
from preflight.policy.rows import TABLES, cannot_drain, read_rows
from preflight.policy.rules import CHECK, EXPECT, REBOOT, RULES, XID, Rule
from preflight.policy.selector import selects

KEYWORDS = {"for": "for_"}  # keys that Python does not take as a field's name


class PolicyError(ValueError):
    """A policy that cannot be used: one line for each mistake, "FILE:LINE: KEY: what is wrong"."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


class Reader:
    """Collects values, mistakes and warnings of one file."""

    def __init__(self, text: str, path: str, root: str = "") -> None:
        self.text, self.path, self.root = text, path, root
        self.errors: list[str] = []
        self.warnings: list[str] = []

    def where(self, keys: Path) -> str:
        line = line_of(self.text, keys)
        name = ".".join(f"{key}" if str(key).isidentifier() or isinstance(key, int) else f'"{key}"' for key in keys)
        return f"{self.path}{f':{line}' if line else ''}: {name}"

    def toml(self) -> dict[str, Any]:
        """Return the file as plain values; raises PolicyError where it is no TOML."""
        try:
            return toml.loads(self.text)
        except toml.TOMLDecodeError as error:
            line = _line(self.text, str(error))
            raise PolicyError([f"{self.path}:{line}: not TOML: {error}"]) from error
        except RecursionError as error:
            raise PolicyError([f"{self.path}: tables or lists within each other, too deep to be a policy"]) from error

    def table(self, data: Any, rules: dict[str, Rule], at: Path) -> dict[str, Any]:
        values: dict[str, Any] = {}
        if not isinstance(data, dict):
            self.errors.append(f"{self.where(at)}: needs a table, not {data!r:.100}")
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


def parse_policy(text: str, path: str, more: tuple[tuple[str, str], ...] = (), root: str = "") -> Policy:
    """Return the policy in ``text`` and its drop-ins ``more`` ((text, path) in order of name); raises PolicyError.

    A later file's key stands over an earlier one's; its [[expect]] are added. Paths are only named in messages.
    ``root``: the directory below which the catalog's file is looked for, an image's.
    """
    files = [Reader(text, path, root), *(Reader(*one, root) for one in more)]
    merged: dict[str, Any] = {"": {}, **{name: {} for name in model.SECTIONS}, "checks": {}, "xids": {}}
    merged.update(expect=[], host=[])
    errors: list[str] = []
    warnings: list[str] = []
    for reader in files:
        try:
            _merge(merged, reader)
        except PolicyError as error:
            errors += error.lines
        errors += reader.errors
        warnings += reader.warnings
    values = merged.pop("")
    if errors:
        raise PolicyError(errors)
    if "mode" not in values:
        values.update(mode="observe", mode_written=False)
    values["checks"] = {name: CheckPolicy(**one) for name, one in merged.pop("checks").items()}
    values["expect"] = tuple(merged.pop("expect"))
    values["host"] = tuple(merged.pop("host"))
    values["commands"] = tuple(dict.fromkeys(row.own_name for row in values["host"] if row.own_name))
    values["notes"] = tuple(cannot_drain(values["host"], values["checks"]))
    values["xids"] = merged.pop("xids")
    values.update((name, model.SECTIONS[name](**section)) for name, section in merged.items())
    errors = _unknown_steps(files, values["recover"])
    if errors:
        raise PolicyError(errors)
    digest = hashlib.sha256("\n".join(reader.text for reader in files).encode()).hexdigest()
    return Policy(**values, path=path, sha256=digest, warnings=tuple(warnings))


def _merge(merged: dict[str, Any], reader: Reader) -> None:
    """Add one file's values to ``merged``; its mistakes stay in ``reader``."""
    data = reader.toml()
    first = not merged[""]
    checks, xids, expect = data.pop("checks", {}), data.pop("xids", {}), data.pop("expect", [])
    host = {name: data.pop(name) for name in TABLES if name in data}
    sections = {name: data.pop(name) for name in model.SECTIONS if name in data}
    merged[""].update(reader.table(data, RULES[""], ()))
    if first and "version" not in data:
        reader.errors.append(f"{reader.path}:1: version: missing; write version = 1")
    for name, section in sections.items():
        merged[name].update(reader.table(section, RULES[name], (name,)))
    for name, check in _checks(reader, checks).items():
        merged["checks"].setdefault(name, {}).update(check)
    merged["xids"].update(_xids(reader, xids))
    merged["expect"] += _expectations(reader, expect)
    for name, rows in host.items():
        merged["host"] += read_rows(reader, name, rows)
    file = merged["catalog"].get("file")
    if file and "catalog" in sections:
        merged[""]["catalog_rows"] = _catalog_rows(reader, f"{reader.root}{file}")


def _unknown_steps(files: list[Reader], recover: model.RecoverPolicy) -> list[str]:
    """Return a line for each step of [recover.steps] that is neither "reboot" nor one of [recover.commands]."""
    known = (REBOOT, *recover.commands)
    found = []
    for pattern, steps in recover.steps.items():
        at = ("recover", "steps", pattern)
        reader = next((one for one in reversed(files) if line_of(one.text, at, exact=True)), files[0])
        for step in steps:
            if step not in known:
                near = difflib.get_close_matches(step, known, 1)
                hint = f"did you mean {near[0]}?" if near else f"steps are {', '.join(known)} ([recover.commands])"
                found.append(f"{reader.where(at)}: no step is named {step!r:.60}; {hint}")
    return found


def _catalog_rows(reader: Reader, path: str) -> dict[str, Any]:
    """Return the rows of the site's catalog file; its mistakes are the policy's."""
    try:
        return site.read(path)
    except CatalogError as error:
        reader.errors += [f"{reader.where(('catalog', 'file'))}: {line}" for line in error.lines]
        return {}


def _line(text: str, message: str) -> int:
    """Return the line that tomllib's message names, "(at line 3, column 5)"; the last one for "end of document"."""
    digits = message.rpartition("(at line ")[2].partition(",")[0]
    return int(digits) if is_whole(digits) else max(1, len(text.splitlines()))


def _checks(reader: Reader, data: Any) -> dict[str, dict[str, Any]]:
    if not isinstance(data, dict):
        reader.errors.append(f'{reader.where(("checks",))}: needs tables such as [checks."gpu.ecc.uncorrected"]')
        return {}
    found = {name: reader.table(one, CHECK, ("checks", name)) for name, one in data.items()}
    return {name: {KEYWORDS.get(key, key): value for key, value in one.items()} for name, one in found.items()}


def _xids(reader: Reader, data: Any) -> dict[str, str]:
    """Return the actions of [xids], number -> action."""
    codes = list(data) if isinstance(data, dict) else []
    numbers = {code: XID for code in codes if is_whole(code, 6)}
    wrong = [code for code in codes if code not in numbers]
    reader.errors += [f"{reader.where(('xids', code))}: is no Xid's number, such as 79" for code in wrong]
    found = reader.table(data if not wrong else {}, numbers, ("xids",))
    return {str(int(code)): action for code, action in found.items()}


def _expectations(reader: Reader, data: Any) -> list[Expectation]:
    if not isinstance(data, list):
        reader.errors.append(f"{reader.where(('expect',))}: write [[expect]], with two brackets")
        return []
    found = []
    for position, one in enumerate(data):
        values = reader.table(one, EXPECT, ("expect", position))
        if isinstance(one, dict) and "require" not in one:
            reader.errors.append(f"{reader.where(('expect', position))}: needs a key require")
        found.append(Expectation(**values))
    return found


def for_node(policy: Policy, node: str) -> Policy:
    """Return the policy as ``node`` sees it: %n replaced in paths, only its own expectations kept."""

    def named(section: Any) -> Any:
        return type(section)(*(_named(value, node) for value in section))

    mine = (one for one in policy.expect if selects(one.nodes, node))
    host = (one for one in policy.host if one.action != "off" and selects(one.nodes, node))
    sections = {
        name: named(getattr(policy, name))
        for name in ("facts", "nvml", "hook", "report", "drain", "ship", "metrics", "site")
    }
    return policy._replace(expect=tuple(one._replace(nodes=node) for one in mine), host=tuple(host), **sections)


def _named(value: Any, node: str) -> Any:
    if isinstance(value, str):
        return value.replace("%n", node)
    return tuple(_named(one, node) for one in value) if isinstance(value, tuple) else value


def load_policy(path: str | None = None, node: str | None = None, root: str = "") -> Policy:
    """Return the site's policy for ``node`` (default: this host), or the defaults where no file is named or installed.

    ``path``, else $PREFLIGHT_CONFIG, names the file; else it is DEFAULT_PATH. Its drop-ins are read with it.
    ``root``: the directory of an image whose policy it is, "" for this host.

    Raises PolicyError where the file is named but cannot be read, or is wrong.
    """
    asked = path or os.environ.get("PREFLIGHT_CONFIG")
    named = asked or model.DEFAULT_PATH
    if not asked and not os.path.exists(named):
        return for_node(Policy(mode="observe"), node or node_name())
    return for_node(read_policy(named, root), node or node_name())


def read_policy(path: str, root: str = "") -> Policy:
    """Return the policy in the file ``path`` and in its drop-ins, for any node; raises PolicyError."""
    more = tuple((read_text(one), one) for one in drop_ins(path))
    return parse_policy(read_text(path), path, more, root)


def read_text(path: str) -> str:
    """Return the policy file's text; raises PolicyError with one line."""
    try:
        raw = read_bytes(path)
        if len(raw) > MAX_BYTES:
            raise PolicyError([f"{path}: larger than {MAX_BYTES} bytes; is this the policy?"])
        return raw.decode()
    except OSError as error:
        raise PolicyError([f"{path}: cannot be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise PolicyError([f"{path}: not UTF-8 text at byte {error.start}"]) from error


def place_of(path: str, keys: Path) -> str:
    """Return "FILE:LINE" of ``keys`` in the policy or the drop-in that sets them last; FILE where none does."""
    for file in reversed([path, *drop_ins(path)]):
        try:
            line = line_of(read_text(file), keys, exact=True)
        except PolicyError:  # gone since it was read
            continue
        if line:
            return f"{file}:{line}"
    return path


def node_name() -> str:
    """Return SLURMD_NODENAME, else the short host name."""
    return os.environ.get("SLURMD_NODENAME") or _hostname()


def _hostname() -> str:
    import socket

    return socket.gethostname().split(".")[0]
