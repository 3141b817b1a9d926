"""A job's reports as anybody may have written them: read, merged, rendered in each form."""

import json

import report_samples
from fuzz.place import place, write
from preflight.report import store
from preflight.report.aside import Aside, document
from preflight.report.found import entry_of
from preflight.report.merge import merge
from preflight.report.render import render
from preflight.report.validate import ReportError, load

ERRORS = (ReportError,)
TOKENS = (
    b"null", b"true", b"[]", b"{}", b'"x"', b"-1", b"1e17", b"1e999", b'"unhealthy"', b'"fail"', b'"\\ud800"',
    b'"<b>&"', b"\0",
)  # fmt: skip
LONGEST = 32768
STEPS_LIMIT = (400_000, 400)
PEAK_LIMIT = (24 << 20, 400)


def seeds() -> list[bytes]:
    """Return one report of each sort."""
    made = [*report_samples.moved(), *report_samples.unhealthy(), *report_samples.hostile()]
    return [json.dumps(one).encode() for one in made]


def check(data: bytes) -> None:
    """Read one report, and show it; the spool's reader takes the same file or nothing."""
    folder = place("spool") / "reports/7"
    folder.mkdir(parents=True, exist_ok=True)
    write(folder / "n1.0.prolog.json", data)
    store.read_spool(str(place("spool")), 7, "n1")
    report = load(data)
    view = merge("7", [report])
    for form in ("text", "markdown", "html"):
        text = render(view, form)
        assert "\x1b" not in text
    aside = Aside()
    if report["job"] is not None:
        json.loads("".join(document("7", [entry_of(report, data, aside.keep)], aside)))
    store.encode(report)
