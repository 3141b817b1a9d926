"""An explanation as JSON, format preflight.why/1: fields are added, never renamed."""

import json
from datetime import datetime, timezone
from typing import Any

from preflight.submit.why.model import Explanation, RunOutcome, Step

FORMAT = "preflight.why/1"


def to_json(told: Explanation) -> str:
    """Return the document as ASCII JSON that ends in a newline."""
    document = {"format": FORMAT, **_told(told)}
    return json.dumps(document, indent=2).replace("\x7f", "\\u007f") + "\n"


def _told(told: Explanation) -> dict[str, Any]:
    return {
        "job": told.label,
        "kind": told.kind,
        "cause": told.cause or None,
        "sentence": told.sentence,
        "state": told.state or None,
        "reason": told.reason or None,
        "exit_code": told.exit_code or None,
        "verdict": told.verdict or None,
        "source": told.source,
        "runs": [_stay(stay) for stay in told.stays],
        "evidence": list(told.lines),
        "next": [_step(step) for step in told.steps],
        "notes": list(told.notes),
        "parts": [_told(part) for part in told.parts],
    }


def _stay(stay: RunOutcome) -> dict[str, Any]:
    started = None if stay.started is None else datetime.fromtimestamp(stay.started, timezone.utc)
    return {
        "run": stay.run,
        "nodes": stay.nodes,
        "started": started and started.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "outcome": stay.outcome,
        "because": stay.because or None,
        "not_enforced": stay.spared or None,
    }


def _step(step: Step) -> dict[str, Any]:
    return {"who": step.who, "text": step.text, "commands": list(step.commands)}
