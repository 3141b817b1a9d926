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
Rule = Callable[[Any], None]


class ReportError(ValueError):
    """A text that is no report: one line, what is wrong and where in it."""


class _Wrong(Exception):
    """A value that is not what it should be. ``where`` grows as it is passed up: nothing is spent on what is right."""

    def __init__(self, problem: str, where: str = "") -> None:
        super().__init__()
        self.problem, self.where = problem, where

    def within(self, outer: str) -> _Wrong:
        """Return it, with the place that it is in."""
        parts = "." if self.where and not self.where.startswith(("[", " ")) else ""
        self.where = f"{outer}{parts}{self.where}"
        return self


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
    try:
        _REPORT(report)
        for name, rule in FURTHER.items():
            if name in report:
                _at(name, rule, report[name])
    except _Wrong as wrong:
        raise ReportError(f"{wrong.where}: {wrong.problem}") from None


def _at(name: str, rule: Rule, value: Any) -> None:
    try:
        rule(value)
    except _Wrong as wrong:
        raise wrong.within(name) from None


def _no_constant(name: str) -> None:
    raise json.JSONDecodeError(f"{name} is no JSON", "", 0)


def _text(value: Any) -> None:
    if not isinstance(value, str):
        raise _Wrong("not a text")


def _text_or_null(value: Any) -> None:
    if value is not None and not isinstance(value, str):
        raise _Wrong("not a text")


def _name(value: Any) -> None:
    if not isinstance(value, str) or not value:
        raise _Wrong("not a name")


def _flag(value: Any) -> None:
    if not isinstance(value, bool):
        raise _Wrong("not true or false")


def _number(value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1e18:
        raise _Wrong("not a number from 0")


def _whole(value: Any) -> None:
    _number(value)
    if not isinstance(value, int):
        raise _Wrong("not a whole number")


def _time(value: Any) -> None:
    # Only its shape: it is sorted and shown, never computed with.
    text = value if isinstance(value, str) and len(value) <= 40 and value.endswith("Z") else ""
    if "".join("0" if letter in "0123456789" else letter for letter in text[:19]) != "0000-00-00T00:00:00":
        raise _Wrong("not a UTC time such as 2026-11-24T14:00:00Z")


def _object(value: Any) -> None:
    if not isinstance(value, dict):
        raise _Wrong("not an object")


def _any(value: Any) -> None:
    return


def _one_of(words: tuple[str, ...]) -> Rule:
    def rule(value: Any) -> None:
        if not isinstance(value, str) or value not in words:
            raise _Wrong(f"not one of {', '.join(words)}")

    return rule


def _or_null(inner: Rule) -> Rule:
    def rule(value: Any) -> None:
        if value is not None:
            inner(value)

    return rule


def _list(inner: Rule) -> Rule:
    def rule(value: Any) -> None:
        if not isinstance(value, list):
            raise _Wrong("not a list")
        done = 0
        try:
            for one in value:
                inner(one)
                done += 1
        except _Wrong as wrong:
            raise wrong.within(f"[{done}]") from None

    return rule


def _map(inner: Rule) -> Rule:
    def rule(value: Any) -> None:
        if not isinstance(value, dict):
            raise _Wrong("not an object")
        try:
            for one in value.values():
                inner(one)
        except _Wrong as wrong:
            raise wrong.within(" value") from None

    return rule


def _fields(rules: dict[str, Rule]) -> Rule:
    pairs = tuple(rules.items())

    def rule(value: Any) -> None:
        if not isinstance(value, dict):
            raise _Wrong("not an object")
        key = ""
        try:
            for key, inner in pairs:
                inner(value[key])
        except KeyError:
            raise _Wrong("missing", key) from None
        except _Wrong as wrong:
            raise wrong.within(key) from None

    return rule


JOB: dict[str, Rule] = {
    "id": _whole,
    "array_job_id": _or_null(_whole),
    "array_task_id": _or_null(_whole),
    "restart": _or_null(_whole),
    "user": _text_or_null,
    "uid": _or_null(_whole),
    "partition": _text_or_null,
    "nodes": _text_or_null,
    "gpus": _or_null(_list(_whole)),
    "constraints": _text_or_null,
}
CLAUSE: dict[str, Rule] = {"text": _text, "source": _text_or_null, "status": _one_of(STATUSES)}
FINDING: dict[str, Rule] = {
    "check": _name,
    "status": _one_of(STATUSES),
    "blame": _one_of(BLAMES),
    "subject": _text,
    "expected": _text_or_null,
    "observed": _text_or_null,
    "message": _text,
    "remedy": _text_or_null,
    "source": _text_or_null,
    "duration_ms": _or_null(_number),
}
CHANGE: dict[str, Rule] = {"fact": _name, "before": _any, "after": _any, "blame": _or_null(_one_of(BLAMES))}
SOFTWARE: dict[str, Rule] = {
    "preflight": _text,
    "python": _text,
    "policy_sha256": _text_or_null,
    "catalog": _text_or_null,
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
    "action": _fields({"kind": _one_of(ACTIONS), "detail": _text_or_null, "enforced": _flag}),
    "findings": _list(_fields(FINDING)),
    "counts": _fields(dict.fromkeys(STATUSES, _whole)),
    "facts": _map(_object),
    "timings_ms": _map(_number),
    "software": _fields(SOFTWARE),
}
FURTHER: dict[str, Rule] = {
    "unknown": _map(_text),
    "source": _one_of(SOURCES),
    "ages_s": _map(_number),
    "changes": _or_null(_list(_fields(CHANGE))),
}
_REPORT = _fields(REPORT)
