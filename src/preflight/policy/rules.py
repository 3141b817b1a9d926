"""What each key of preflight.toml may hold: a rule takes TOML's value and returns the model's, or raises ValueError."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from preflight.digits import is_whole
from preflight.facts.host.match import size
from preflight.policy.selector import SelectorError, parse_selector
from preflight.requirements.grammar import RequirementError, parse
from preflight.times import seconds

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
    if not is_whole(digits) or (text.endswith("%") and int(digits) > 100):
        raise ValueError(f'needs a number of nodes or a share such as "5%", not {value!r}')
    return str(text)


def _time(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f'needs a time such as "90s", "10m", "2h" or "1d", not {value!r:.40}')
    seconds(value)
    return value


def _nodes(value: Any) -> str:
    try:
        parse_selector(_text(value))
    except SelectorError as error:
        raise ValueError(f"is {error}") from error
    return str(value)


def _require(value: Any) -> str:
    try:
        return parse(_text(value)).text()
    except RequirementError as error:
        raise ValueError(f"is not a requirement: {error.message}") from error


def _url(value: Any) -> str:
    if _text(value) and not (value.startswith(("http://", "https://")) and len(value.split("/")[2]) > 0):
        raise ValueError(f'needs an address such as "https://collector:8443", not {value!r}')
    return str(value)


def _store(value: Any) -> str:
    if _text(value) and not value.startswith(("sqlite:///", "postgresql://")):
        raise ValueError(f"needs sqlite:///PATH or postgresql://…, not {value!r}")
    return str(value)


MODE = _choice("enforce", "observe")
REBOOT = "reboot"
XID_CLASSES = ("RESET", "REBOOT")


def _size(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f'needs a size such as "256M", not {value!r:.40}')
    size(value)
    return value


def _steps(value: Any) -> dict[str, list[str]]:
    """Return {pattern of findings: names of steps}; whether each step is known, `unknown_steps` says."""
    if not isinstance(value, dict):
        raise ValueError('needs a table such as [recover.steps] with "gpu.recovery" = ["reboot"]')
    for pattern, steps in value.items():
        kind = pattern.removeprefix("xid:")
        if not pattern or not pattern.isprintable():
            raise ValueError(f"{pattern!r:.60} names no finding")
        if kind != pattern and kind not in XID_CLASSES and not is_whole(kind, 6):
            raise ValueError(f'"{pattern:.40}": after xid: stands a number, {" or ".join(XID_CLASSES)}')
        if not isinstance(steps, list) or not steps or not all(isinstance(one, str) for one in steps):
            raise ValueError(f'"{pattern:.40}" needs a list of steps such as ["reboot"], not {steps!r:.60}')
        if len(set(steps)) < len(steps):
            raise ValueError(f'"{pattern:.40}" names a step twice')
    return {pattern: list(steps) for pattern, steps in value.items()}


def _commands(value: Any) -> dict[str, list[str]]:
    """Return {name of a step: program and arguments}, each handed over as it stands."""
    if not isinstance(value, dict):
        raise ValueError('needs a table such as [recover.commands] with ticket = ["/usr/local/sbin/open-ticket"]')
    for name, words in value.items():
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", name) or name == REBOOT:
            raise ValueError(f"{name!r:.60}: a command's name has letters, digits, _ . and -, and is not reboot")
        if not isinstance(words, list) or not words or not all(isinstance(one, str) and one for one in words):
            raise ValueError(f"{name} needs a list of program and arguments, not {words!r:.60}")
        if not words[0].startswith("/") or not all(one.isprintable() for one in words):
            raise ValueError(f"{name} needs the absolute path of its program, not {words[0]!r:.60}")
    return {name: list(words) for name, words in value.items()}


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
        "store": _store,
    },
    "drain": {
        "max_nodes": _share,
        "kill_switch": _path,
        "resume_after": _number(1, 1000, "health checks in a row", int),
        "hold_down": _time,
    },
    "recover": {
        "hold_down": _time,
        "steps": _steps,
        "commands": _commands,
        "command_s": _number(0.1, 60, "seconds"),
        "evidence_keep": _number(1, 1000, "records", int),
        "evidence_size": _size,
        "bug_report": _path,
        "bug_report_s": _number(1, 3600, "seconds"),
    },
    "epilog": {"grace_s": _number(0, 30, "seconds"), "end_processes": _flag},
    "ship": {"url": _url, "token_file": _path, "ca_file": _path, "program": _path},
    "metrics": {"textfile": _path},
    "agent": {
        "wait_ms": _number(10, 1000, "milliseconds", int),
        "upkeep": _flag,
        "jitter_s": _number(0, 3600, "seconds"),
    },
    "publish": {"enabled": _flag, "via": _choice("auto", "extra", "features")},
    "cuda": {"minor_version_compatibility": _choice("accept", "warn", "reject")},
    "catalog": {"file": _path},
    "site": {
        "directory": _place,
        "path": _list(_place),
        "user": _text,
        "budget_s": _number(0.1, 60, "seconds"),
    },
}
CHECK: dict[str, Rule] = {
    "action": _choice("drain", "warn", "off"),
    "limit": _number(0, 1e18, "in the check's unit"),
    "mode": MODE,
    "after": _number(1, 1000, "times in a row", int),
    "for": _time,
    "resume_after": _number(1, 1000, "health checks in a row", int),
    "hold_down": _time,
    "window": _time,
}
XID = _choice("drain", "warn", "off")
NODES = _nodes
EXPECT: dict[str, Rule] = {"nodes": _nodes, "partitions": _list(_text), "require": _require}
