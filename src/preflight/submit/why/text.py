"""An explanation on a terminal, 80 columns: the answer, then the runs and other evidence, then what to type."""

import textwrap
from collections.abc import Iterator

from preflight.report.clean import clean
from preflight.submit.why.model import Explanation, RunOutcome, Step
from preflight.submit.why.words import clock

COLUMNS = 80
_WORDS = {"unfit": "did not fit, ran all the same", "unhealthy": "faulty, used all the same", "drained": "faulty"}
_SAID_ONCE = ("degraded", "unknown", "unfit", "unhealthy")
_LONG = 4000


def render(told: Explanation, now: float) -> str:
    """Return the explanation as text that ends in a newline; ``now`` decides whether a time needs its day."""
    lines = list(_wrapped(told.sentence))
    for part in told.parts:
        lines += ["", *_wrapped(f"{part.label}: {part.sentence}"), *_body(part, now)]
    lines += _body(told, now)
    if told.notes:
        lines += ["", *(line for note in told.notes for line in _wrapped(f"Note: {note}", "      "))]
    return "\n".join(lines) + "\n"


def _body(told: Explanation, now: float) -> list[str]:
    lines: list[str] = []
    if any(stay.outcome != "ready" or stay.run for stay in told.stays):
        lines += ["", *(line for stay in told.stays for line in _stay(stay, now, told.sentence))]
    lines += [line for one in told.lines for line in _wrapped(one, "    ", "  ")]
    if told.steps:
        lines += ["", "Next:", *(line for step in told.steps for line in _step(step))]
    return lines


def _stay(stay: RunOutcome, now: float, said: str) -> Iterator[str]:
    """Lay out a run; a caveat or a misfit that ran all the same is not repeated where the sentence has it whole."""
    at = f", {clock(stay.started, now)}" if stay.started else ""
    outcome = _WORDS.get(stay.outcome, stay.outcome)
    because = f": {stay.because}" if stay.because else ""
    if stay.because and stay.outcome in _SAID_ONCE and stay.because in said and stay.spared in said:
        yield from _wrapped(f"run {stay.run} on {stay.nodes}{at}: {outcome}", "    ", "  ")
        return
    spared = f" ({stay.spared})" if stay.spared else ""
    yield from _wrapped(f"run {stay.run} on {stay.nodes}{at}: {outcome}{because}{spared}", "    ", "  ")


def _step(step: Step) -> Iterator[str]:
    who = "admin: " if step.who == "admin" else ""
    yield from _wrapped(f"{who}{step.text}", "  ", "  ")
    for command in step.commands:  # whole, on one line: it is to be copied
        yield f"      {clean(command, _LONG)}"


def _wrapped(text: str, hanging: str = "", first: str = "") -> list[str]:
    cleaned = clean(text, _LONG)
    return textwrap.wrap(cleaned, COLUMNS, initial_indent=first, subsequent_indent=hanging, break_on_hyphens=False) or [
        ""
    ]
