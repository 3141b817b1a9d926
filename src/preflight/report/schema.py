"""The report's JSON Schema (2020-12): as shipped, with the facts as they declare themselves."""

import json
from importlib.resources import files
from typing import Any

from preflight.facts.schema import facts_schema


def schema() -> dict[str, Any]:
    """Return the JSON Schema of format preflight.report/1."""
    text = files("preflight.report").joinpath("report.schema.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    facts = loaded["properties"]["facts"]
    loaded["properties"]["facts"] = {"description": facts["description"], **facts_schema()}
    return loaded
