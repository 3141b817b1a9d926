"""The OpenAPI document: `python -m preflight.fleet.api.describe` writes openapi.json beside this file (Python 3.10).

Answers are described from the very tuples that they are made of.
"""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

from preflight.fleet.api.endpoints import ENDPOINTS, Endpoint, Param
from preflight.fleet.keys import STATUSES
from preflight.fleet.query import actions, drift, jobs, node, status
from preflight.report.model import PHASES, VERDICTS

PLACE = Path(__file__).with_name("openapi.json")
PLAIN = {int: {"type": "integer"}, str: {"type": "string"}, float: {"type": "number"}, bool: {"type": "boolean"}}
WORDS = {"verdict": VERDICTS, "phase": PHASES, "status": STATUSES}
ERRORS = {
    400: "A parameter that is none; one line says which",
    401: "No valid reader's token",
    403: "For admins",
    404: "It is not there, or it is not yours: the two are one answer",
    503: "The store does not answer; try again",
}


class Schemas:
    """Components, each described once."""

    def __init__(self) -> None:
        self.known: dict[str, dict[str, Any]] = {}

    def of(self, hint: Any, name: str = "") -> dict[str, Any]:
        """Return the schema of a type of ours; ``name`` is the field's, whose words may be known."""
        origin, arguments = get_origin(hint), get_args(hint)
        if origin in (Union, getattr(types, "UnionType", Union)):
            its = [self.of(one, name) for one in arguments if one is not type(None)]
            return {"anyOf": [*its, {"type": "null"}]} if type(None) in arguments else {"anyOf": its}
        if origin in (list, tuple):
            return {"type": "array", "items": self.of(arguments[0])}
        if origin is dict:
            return {"type": "object", "additionalProperties": self.of(arguments[1])}
        if hint is str and name in WORDS:
            return {"type": "string", "enum": list(WORDS[name])}
        if hint in PLAIN:
            return PLAIN[hint]
        hints = get_type_hints(hint)
        self.known.setdefault(hint.__name__, {})
        properties = {field: self.of(its, field) for field, its in hints.items()}
        self.known[hint.__name__] = self.object(properties)
        return {"$ref": f"#/components/schemas/{hint.__name__}"}

    @staticmethod
    def object(properties: dict[str, Any]) -> dict[str, Any]:
        """Return the schema of an object that has all of ``properties`` and no other."""
        required = list(properties)
        return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def document() -> dict[str, Any]:
    """Return the OpenAPI document."""
    schemas = Schemas()
    drains, would = schemas.of(list[actions.Drain]), schemas.of(list[actions.Action])
    failing, summary = schemas.of(list[status.Failing]), schemas.of(status.Summary)
    texts = {"type": "array", "items": {"type": "string"}}
    number = {"type": "integer"}
    schemas.known.update(
        {
            "Status": schemas.object(
                {
                    "nodes": schemas.of(list[status.Latest]),
                    "silent": texts,
                    "drained": drains,
                    "failing": failing,
                    "last_24h": summary,
                    "would": number,
                }
            ),
            "Since": schemas.object(
                {
                    "summary": summary,
                    "drains": drains,
                    "drain_count": number,
                    "failing": failing,
                    "would": would,
                    "would_count": number,
                }
            ),
            "Jobs": schemas.of(list[jobs.Job]),
            "Drains": drains,
            "Would": would,
            "Drift": schemas.of(list[drift.Outlier]),
            "JobReports": schemas.object(
                {
                    "job": {"type": "string"},
                    "verdict": {"type": "string", "enum": list(VERDICTS)},
                    "tries": number,
                    "nodes": texts,
                    "cut": {"type": "boolean", "description": "it has more reports than are here"},
                    "reports": {"type": "array", "items": {"type": "object", "description": "preflight.report/1"}},
                }
            ),
            "Error": schemas.object({"error": {"type": "string"}}),
        }
    )
    schemas.of(node.History)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Preflight",
            "version": "1",
            "description": "What `preflight fleet` answers, from the store. Times: milliseconds since the epoch, UTC.",
        },
        "servers": [{"url": "/api/v1"}],
        "security": [{"bearer": []}, {"cookie": []}],
        "paths": {one.path: {"get": _operation(one)} for one in ENDPOINTS},
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "preflight fleet reader NAME"},
                "cookie": {"type": "apiKey", "in": "cookie", "name": "preflight_reader"},
            },
            "schemas": dict(sorted(schemas.known.items())),
        },
    }


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    answer = {"$ref": f"#/components/schemas/{endpoint.of}"}
    statuses = [one for one in ERRORS if one != 404 or endpoint.found]
    return {
        "summary": endpoint.summary,
        "operationId": endpoint.function.__name__.strip("_"),
        "parameters": [_parameter(one) for one in endpoint.params],
        "responses": {
            "200": {"description": endpoint.summary, "content": {"application/json": {"schema": answer}}},
            **{
                str(one): {
                    "description": ERRORS[one],
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
                }
                for one in statuses
            },
        },
    }


def _parameter(one: Param) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    if one.most:
        schema = {"type": "integer", "minimum": 1, "maximum": one.most}
    if one.pattern:
        schema["pattern"] = one.pattern
    if one.among:
        schema["enum"] = list(one.among)
    if one.default:
        schema["default"] = int(one.default) if one.most else one.default
    place = "path" if one.in_path else "query"
    return {"name": one.name, "in": place, "required": one.in_path, "description": one.help, "schema": schema}


def text() -> str:
    """Return the document as it is kept."""
    return json.dumps(document(), indent=1) + "\n"


if __name__ == "__main__":
    PLACE.write_text(text(), encoding="utf-8")
    sys.exit(0)
