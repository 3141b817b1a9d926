"""A policy as the TOML that `load` reads."""

import json
from typing import Any

from preflight.policy.model import SECTIONS, Policy


def to_toml(policy: Policy) -> str:
    """Return preflight.toml for a policy; reading it back gives the same values, except what names the file."""
    lines = [_pair(key, getattr(policy, key)) for key in ("version", "cluster", "mode")]
    for name in SECTIONS:
        lines += [f"[{name}]", *_pairs(getattr(policy, name))]
    for name, check in policy.checks.items():
        lines += [f"[checks.{_text(name)}]", *_pairs(check, leave_out=("", None))]
    for one in policy.expect:
        lines += ["[[expect]]", *_pairs(one)]
    for row in policy.host:
        lines += ["[[host]]", *_pairs(row._replace(args={}, users="", place=""), leave_out=("", {}))]
        lines += [_pair(key, value) for key, value in row.args.items()]
    return "\n".join(lines) + "\n"


def _pairs(section: Any, leave_out: tuple[Any, ...] = ()) -> list[str]:
    return [_pair(key, value) for key, value in section._asdict().items() if value not in leave_out]


def _pair(key: str, value: Any) -> str:
    return f"{key} = {toml_value(value)}"


def toml_value(value: Any) -> str:
    """Return a value as TOML writes it: true, a text, a list, a table, a number."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(toml_value(one) for one in value)}]"
    if isinstance(value, dict):
        pairs = ", ".join(f"{_text(key)} = {toml_value(one)}" for key, one in value.items())
        return f"{{ {pairs} }}" if pairs else "{}"
    return repr(value)


def _text(text: str) -> str:
    """Return a TOML basic string: JSON's, whose escapes are TOML's too; DEL alone TOML wants escaped as well."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
