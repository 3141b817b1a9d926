"""Reading a report that anybody may have written: what comes back has the shape that the renderers rely on.

The user owns the copies in report.dir, so a report is hostile input there. Unknown fields are kept.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from preflight.checks.finding import BLAMES, STATUSES
from preflight.report.model import ACTIONS, FORMAT, PHASES, SOURCES, VERDICTS

MAX_BYTES = 4 << 20
Rule = Callable[[Any, str], None]


class ReportError(ValueError):
    """A text that is no report: one line, what is wrong and where in it."""


def load(text: str | bytes) -> dict[str, Any]:
    """Return the report in ``text``; raises ReportError with one line, whatever the text is."""
    if len(text) > MAX_BYTES:
        raise ReportError(f"larger than {MAX_BYTES >> 20} MiB")
    try:
        # Bytes are decoded here: json.loads would guess UTF-16 and UTF-32 too.
        decoded = text.decode("utf-8") if isinstance(text, bytes) else text
        report = json.loads(decoded, parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        raise ReportError(f"not UTF-8 text at byte {error.start}") from None
    except RecursionError:
        raise ReportError("nested too deeply") from None
    except json.JSONDecodeError as error:
        raise ReportError(f"not JSON at line {error.lineno}, column {error.colno}: {error.msg}") from None
    except ValueError:
        raise ReportError("not JSON: a number is too long") from None
    if not isinstance(report, dict):
        raise ReportError("not a report: not a JSON object")
    _known(report)
    return report


def _known(report: dict[str, Any]) -> None:
    made = report.get("format")
    if made != FORMAT:
        if isinstance(made, str) and made.startswith("preflight.report/"):
            raise ReportError(f"format is not {FORMAT}: written by another version of Preflight")
        raise ReportError(f"not a report: format is not {FORMAT}")
    _fields(REPORT)(report, "")
    if "unknown" in report:
        _map(_text)(report["unknown"], "unknown")
    if "source" in report:
        _one_of(SOURCES)(report["source"], "source")
    if "ages_s" in report:
        _map(_number)(report["ages_s"], "ages_s")
    if report.get("changes") is not None:
        _list(_fields(CHANGE))(report["changes"], "changes")


def _no_constant(name: str) -> None:
    raise json.JSONDecodeError(f"{name} is no JSON", "", 0)


def _text(value: Any, at: str) -> None:
    if not isinstance(value, str):
        raise ReportError(f"{at}: not a text")


def _name(value: Any, at: str) -> None:
    if not isinstance(value, str) or not value:
        raise ReportError(f"{at}: not a name")


def _flag(value: Any, at: str) -> None:
    if not isinstance(value, bool):
        raise ReportError(f"{at}: not true or false")


def _number(value: Any, at: str) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1e18:
        raise ReportError(f"{at}: not a number from 0")


def _whole(value: Any, at: str) -> None:
    _number(value, at)
    if not isinstance(value, int):
        raise ReportError(f"{at}: not a whole number")


def _time(value: Any, at: str) -> None:
    # Only its shape: it is sorted and shown, never computed with.
    text = value if isinstance(value, str) and len(value) <= 40 and value.endswith("Z") else ""
    if "".join("0" if letter in "0123456789" else letter for letter in text[:19]) != "0000-00-00T00:00:00":
        raise ReportError(f"{at}: not a UTC time such as 2026-11-24T14:00:00Z")


def _any(value: Any, at: str) -> None:
    return


def _one_of(words: tuple[str, ...]) -> Rule:
    def rule(value: Any, at: str) -> None:
        if not isinstance(value, str) or value not in words:
            raise ReportError(f"{at}: not one of {', '.join(words)}")

    return rule


def _or_null(inner: Rule) -> Rule:
    def rule(value: Any, at: str) -> None:
        if value is not None:
            inner(value, at)

    return rule


def _list(inner: Rule) -> Rule:
    def rule(value: Any, at: str) -> None:
        if not isinstance(value, list):
            raise ReportError(f"{at}: not a list")
        for position, one in enumerate(value):
            inner(one, f"{at}[{position}]")

    return rule


def _map(inner: Rule) -> Rule:
    def rule(value: Any, at: str) -> None:
        if not isinstance(value, dict):
            raise ReportError(f"{at}: not an object")
        for one in value.values():
            inner(one, f"{at} value")

    return rule


def _fields(rules: dict[str, Rule]) -> Rule:
    def rule(value: Any, at: str) -> None:
        if not isinstance(value, dict):
            raise ReportError(f"{at}: not an object")
        for key, inner in rules.items():
            path = f"{at}.{key}" if at else key
            if key not in value:
                raise ReportError(f"{path}: missing")
            inner(value[key], path)

    return rule


JOB: dict[str, Rule] = {
    "id": _whole,
    "array_job_id": _or_null(_whole),
    "array_task_id": _or_null(_whole),
    "restart": _or_null(_whole),
    "user": _or_null(_text),
    "uid": _or_null(_whole),
    "partition": _or_null(_text),
    "nodes": _or_null(_text),
    "gpus": _or_null(_list(_whole)),
    "constraints": _or_null(_text),
}
CLAUSE: dict[str, Rule] = {"text": _text, "source": _or_null(_text), "status": _one_of(STATUSES)}
FINDING: dict[str, Rule] = {
    "check": _name,
    "status": _one_of(STATUSES),
    "blame": _one_of(BLAMES),
    "subject": _text,
    "expected": _or_null(_text),
    "observed": _or_null(_text),
    "message": _text,
    "remedy": _or_null(_text),
    "source": _or_null(_text),
    "duration_ms": _or_null(_number),
}
CHANGE: dict[str, Rule] = {"fact": _name, "before": _any, "after": _any, "blame": _or_null(_one_of(BLAMES))}
SOFTWARE: dict[str, Rule] = {
    "preflight": _text,
    "python": _text,
    "policy_sha256": _or_null(_text),
    "catalog": _or_null(_text),
}
REPORT: dict[str, Rule] = {
    "format": _name,
    "id": _name,
    "cluster": _text,
    "node": _name,
    "phase": _one_of(PHASES),
    "started": _time,
    "duration_ms": _number,
    "job": _or_null(_fields(JOB)),
    "requirement": _or_null(_fields({"text": _text, "clauses": _list(_fields(CLAUSE))})),
    "verdict": _one_of(VERDICTS),
    "action": _fields({"kind": _one_of(ACTIONS), "detail": _or_null(_text), "enforced": _flag}),
    "findings": _list(_fields(FINDING)),
    "counts": _fields(dict.fromkeys(STATUSES, _whole)),
    "facts": _map(_map(_any)),
    "timings_ms": _map(_number),
    "software": _fields(SOFTWARE),
}
