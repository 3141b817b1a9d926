"""The doctor's results for a terminal of 80 columns: a line for what is fine, what to type for what is not."""

import textwrap
from collections import Counter
from collections.abc import Iterator

from preflight.deploy.doctor.host import Host
from preflight.deploy.doctor.result import OK, SKIP, UNKNOWN, Result
from preflight.report.clean import clean

WIDTH = 80
LIMIT = 2000
WORDS = {"pass": "ok", "warn": "WARN", "fail": "FAIL", "unknown": "unknown", "skip": "-"}
INDENT = " " * 10


def page(host: Host, found: list[tuple[str, list[Result]]]) -> str:
    """Return the whole page; what is said of one thing stands under its title, the sum in the last line."""
    roles = " and ".join(sorted(host.roles))
    lines = [f"Preflight on {clean(host.node)} ({roles}), below {clean(host.target.prefix)}"]
    if not host.root:
        lines.append("Not run as root: what only root can see is unknown below.")
    for title, results in found:
        if results:
            lines += ["", title]
            for one in results:
                lines += _lines(one)
    return "\n".join([*lines, "", *_sum(found)]) + "\n"


def _lines(one: Result) -> Iterator[str]:
    head = f"  {WORDS[one.status]:7} {one.subject}"
    if one.status in (OK, SKIP):
        yield from _short(head, one)
        return
    yield from _wrapped(f"{head}: {one.text}", INDENT)
    if one.where:
        yield f"{INDENT}where: {clean(one.where, LIMIT)}"
    if one.fix:
        yield from _typed(one.fix)


def _short(head: str, one: Result) -> Iterator[str]:
    """One line where it fits, cut where it does not: it is fine, and --json has it whole."""
    text = clean(one.text, LIMIT)
    room = WIDTH - len(head) - 2
    if len(text) > room:
        text = f"…{text[1 - room :]}" if text.startswith("/") else f"{text[: room - 1]}…"
    yield f"{head}: {text}"


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(
        clean(text.strip(), LIMIT),
        WIDTH,
        initial_indent="  ",
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _typed(fix: str) -> Iterator[str]:
    """What to type is not wrapped at all: it is to be copied."""
    yield f"{INDENT}do:    {clean(fix, LIMIT)}"


def _sum(found: list[tuple[str, list[Result]]]) -> list[str]:
    results = [one for _, rows in found for one in rows]
    count = Counter(one.status for one in results)
    findings = sum(one.is_finding for one in results)
    fine = "No finding" if count[UNKNOWN] else "All is fine"
    parts = [f"{findings} finding{'' if findings == 1 else 's'}" if findings else fine]
    if count[UNKNOWN]:
        parts.append(f"{count[UNKNOWN]} could not be told")
    if count[SKIP]:
        parts.append(f"{count[SKIP]} not for this host or not in use")
    loud = [one.text for one in results if one.is_finding and one.subject in ("mode", "kill switch")]
    return [f"{', '.join(parts)}.", *(line for text in loud for line in textwrap.wrap(clean(text), WIDTH))]
