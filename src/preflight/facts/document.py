"""The facts document, format preflight.facts/1 (docs/architecture.md)."""

from __future__ import annotations

from preflight import jsonio
from preflight.facts.view import Facts, View
from preflight.tuples import NamedTuple

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

FORMAT = "preflight.facts/1"
MAX_FILE = 16 << 20


class FactsDocument(NamedTuple):
    """Facts of one node at one time.

    ``collected``  UTC, RFC 3339. ``facts``  subject -> key -> value. ``unknown``  "subject" or "subject.key" ->
    reason ("gpus.3" for a GPU). ``timings_ms``  probe -> milliseconds.
    """

    node: str
    collected: str
    facts: Facts
    unknown: dict[str, str]
    timings_ms: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Return the document as plain JSON values."""
        return {"format": FORMAT, **self._asdict()}

    def view(self, gpus: tuple[int, ...] | None = None) -> View:
        """Return the flat view that evaluation reads; ``gpus`` are positions of the devices judged, None for all."""
        return View(self.facts, self.unknown, gpus)

    @classmethod
    def from_dict(cls, data: Any) -> FactsDocument:
        """Return the document in ``data`` (as json.loads gives it); raises FactsError with one line."""
        from preflight.facts.schema import FactsError, check_facts

        if not isinstance(data, dict):
            raise FactsError("not a facts document: the top level must be an object")
        if data.get("format") != FORMAT:
            raise FactsError(f"not a facts document: format must be {FORMAT!r}, not {ascii(data.get('format'))[:40]}")
        for key, kind, word in (("node", str, "a text"), ("collected", str, "a text"), ("facts", dict, "an object")):
            if not isinstance(data.get(key), kind):
                raise FactsError(f"{key} must be {word}")
        unknown, timings = data.get("unknown", {}), data.get("timings_ms", {})
        if not isinstance(unknown, dict) or not all(isinstance(reason, str) for reason in unknown.values()):
            raise FactsError("unknown must be an object of texts")
        if not isinstance(timings, dict) or not all(_milliseconds(value) for value in timings.values()):
            raise FactsError("timings_ms must be an object of numbers")
        check_facts(data["facts"])
        return cls(data["node"], data["collected"], data["facts"], unknown, timings)


def parse_document(text: str | bytes, source: str) -> FactsDocument:
    """Return the document in JSON ``text``; raises FactsError whose one line begins with ``source``."""
    from preflight.facts.schema import FactsError

    try:
        return FactsDocument.from_dict(jsonio.loads(text))
    except FactsError as error:
        raise FactsError(f"{source}: {error}") from None
    except RecursionError:
        raise FactsError(f"{source}: not JSON: nested too deep") from None
    except ValueError as error:
        raise FactsError(f"{source}: not JSON: {ascii(str(error))[1:-1][:120]}") from None


def read_document(path: str) -> FactsDocument:
    """Return the document in the file ``path``; raises FactsError with one line, for a file that can't be read too."""
    from preflight.facts.schema import FactsError

    try:
        with open(path, "rb") as file:
            data = file.read(MAX_FILE + 1)
    except OSError as error:
        raise FactsError(f"{path}: cannot be read: {error.strerror or error}") from None
    if len(data) > MAX_FILE:
        raise FactsError(f"{path}: larger than {MAX_FILE >> 20} MiB; is this a facts document?")
    return parse_document(data, path)


def _milliseconds(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1e12
