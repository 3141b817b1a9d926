"""The shape of a facts document, and of each value in it; for files, which may be old, foreign or hostile."""

from typing import Any

from preflight.facts.keys import Key, json_schema, parse_keys
from preflight.facts.registry import every_fact

MAX_NUMBER = 1 << 63
MAX_TEXT = 4096
MAX_ITEMS = 50_000

NAMES = {  # of the kinds, in messages
    "text": "text",
    "count": "whole number",
    "integer": "whole number",
    "number": "number",
    "flag": "true or false",
    "texts": "list of texts",
    "counts": "list of whole numbers",
}


def subjects() -> dict[str, dict[str, Key]]:
    """Return subject -> key -> what it holds, as the facts declare it."""
    return {subject: parse_keys(fact.keys) for subject, fact in every_fact().items()}


def facts_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of the ``facts`` in a facts document and a report; unknown subjects pass."""
    known = {subject: json_schema(keys) for subject, keys in subjects().items()}
    return {"type": "object", "properties": known, "additionalProperties": {"type": "object"}}


class FactsError(ValueError):
    """A facts document that can't be used; one line that names what is wrong in it."""


def check_facts(facts: dict[str, Any]) -> None:
    """Raise FactsError where a known key holds a value of another kind; unknown subjects and keys pass."""
    known = subjects()
    for subject, values in facts.items():
        _object(values, f"facts.{subject}")
        _rows(values, known.get(subject, {}), f"facts.{subject}")
    devices = facts.get("gpus", {}).get("devices") or []
    for position, device in enumerate(devices):
        if "index" not in device:
            raise FactsError(f"facts.gpus.devices[{position}] has no index")


def _rows(values: dict[str, Any], rows: dict[str, Key], at: str) -> None:
    for name, key in rows.items():
        if name in values and not (key.nullable and values[name] is None):
            _value(values[name], key, f"{at}.{name}")


def _value(value: Any, key: Key, at: str) -> None:
    if key.kind == "objects":
        for position, item in enumerate(_list(value, at, "list of objects")):
            _object(item, f"{at}[{position}]")
            _rows(item, key.rows, f"{at}[{position}]")
    elif key.kind in ("texts", "counts"):
        for position, item in enumerate(_list(value, at, NAMES[key.kind])):
            _scalar(item, key.kind[:-1], f"{at}[{position}]")
    elif key.kind == "object":
        _object(value, at)
        _rows(value, key.rows, at)
    elif key.kind in ("text-map", "count-map"):
        _object(value, at)
        for name, item in value.items():
            _scalar(item, key.kind[:-4], f"{at}.{name}"[:200])
    else:
        _scalar(value, key.kind, at)


def _scalar(value: Any, kind: str, at: str) -> None:
    if not _is(value, kind):
        raise FactsError(f"{at} must be a {NAMES[kind]}, not {_shown(value)}")


def _is(value: Any, kind: str) -> bool:
    if kind == "text":
        return isinstance(value, str) and len(value) <= MAX_TEXT
    if kind == "flag":
        return isinstance(value, bool)
    number = isinstance(value, int) or (kind == "number" and isinstance(value, float))
    least = -MAX_NUMBER if kind == "integer" else 0
    return number and not isinstance(value, bool) and least <= value <= MAX_NUMBER  # NaN compares false


def _list(value: Any, at: str, kind: str) -> list[Any]:
    if not isinstance(value, list) or len(value) > MAX_ITEMS:
        raise FactsError(f"{at} must be a {kind}, not {_shown(value)}")
    return value


def _object(value: Any, at: str) -> None:
    if not isinstance(value, dict):
        raise FactsError(f"{at[:200]} must be an object, not {_shown(value)}")


def _shown(value: Any) -> str:
    """Return a value, short and printable, for an error message."""
    if isinstance(value, (dict, list)):
        return f"a{'n object' if isinstance(value, dict) else ' list'} of {len(value)}"
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > MAX_NUMBER:
        return "a number too large"
    text = ascii(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
