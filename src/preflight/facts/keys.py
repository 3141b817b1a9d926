"""How a fact's declaration says what its keys hold.

A key's value is text, "KIND[?] [UNIT][: help]": KIND one of KINDS, "?" where it may be null (known to be absent). A
list with one dictionary is a list of objects of such keys, with None behind it or null; a dictionary is one object, or
null.
"""

from typing import Any

from preflight.tuples import NamedTuple

KINDS: dict[str, dict[str, Any]] = {
    "text": {"type": "string"},
    "count": {"type": "integer", "minimum": 0},
    "integer": {"type": "integer"},
    "number": {"type": "number", "minimum": 0},
    "flag": {"type": "boolean"},
    "texts": {"type": "array", "items": {"type": "string"}},
    "counts": {"type": "array", "items": {"type": "integer", "minimum": 0}},
    "text-map": {"type": "object", "additionalProperties": {"type": "string"}},
    "count-map": {"type": "object", "additionalProperties": {"type": "integer", "minimum": 0}},
}


class Key(NamedTuple):
    """One key: ``kind`` is one of KINDS, "objects" or "object", whose keys are ``rows``; ``unit`` may be ""."""

    kind: str
    nullable: bool
    unit: str = ""
    help: str = ""
    rows: dict[str, Any] = {}  # noqa: RUF012 - a NamedTuple default, never written


def parse_keys(keys: dict[str, Any]) -> dict[str, Key]:
    """Return the parsed declaration; raises ValueError for one that is not well formed."""
    return {name: _parse(name, value) for name, value in keys.items()}


def _parse(name: str, value: Any) -> Key:
    if isinstance(value, list):
        return Key("objects", None in value, rows=parse_keys(value[0]))
    if isinstance(value, dict):
        return Key("object", True, rows=parse_keys(value))
    head, _, text = value.partition(":")
    word, _, unit = head.strip().partition(" ")
    kind = word.removesuffix("?")
    if kind not in KINDS:
        raise ValueError(f"{name}: {value!r}: the kind must be one of {', '.join(KINDS)}")
    return Key(kind, word.endswith("?"), unit.strip(), text.strip())


def json_schema(keys: dict[str, Key]) -> dict[str, Any]:
    """Return the JSON Schema of an object with these keys; others may be there."""
    return {"type": "object", "properties": {name: _schema(key) for name, key in keys.items()}}


def _schema(key: Key) -> dict[str, Any]:
    if key.kind == "objects":
        found: dict[str, Any] = {"type": "array", "items": json_schema(key.rows)}
    elif key.kind == "object":
        found = json_schema(key.rows)
    else:
        found = dict(KINDS[key.kind])
    about = ", ".join(text for text in (key.unit, key.help) if text)
    if about:
        found["description"] = about
    return {"anyOf": [found, {"type": "null"}]} if key.nullable else found
