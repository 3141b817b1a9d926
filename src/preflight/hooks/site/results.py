"""What a file of the site's checks told, read back as text that anybody may have written."""

from __future__ import annotations

from preflight import jsonio
from preflight.checks.finding import BLAMES, STATUSES, Finding
from preflight.checks.registry import PHASES, Check
from preflight.policy.site_files import SiteFile
from preflight.tuples import NamedTuple

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

    from preflight.facts.isolate import Outcome

SITE = "site"  # the name of findings about a file, where it is not one of its checks'
REMEDY = "correct the file, or take it out of the directory; see docs/site-checks.md"
MAX_FINDINGS = 256  # a check's
MAX_TEXT = 500
_BLAMES = tuple(one for one in BLAMES if one != "job")  # a job is judged by what it asked for, and by nothing else
_ACTIONS = ("drain", "warn", "off")


class Result(NamedTuple):
    """What a file told: its checks, each check's findings, why the rest is missing ("" where nothing is)."""

    file: SiteFile
    checks: tuple[Check, ...]
    findings: dict[str, list[Finding]]
    spent_ms: dict[str, float]
    why: str


def parse(file: SiteFile, outcome: Outcome) -> Result:
    """Return what the file told; lines that are not as they should be are left out."""
    text = "".join(str(one["told"]) for one in outcome.messages if "told" in one)
    why = next((str(one["why"]) for one in outcome.messages if "why" in one), None)
    if why is None:
        why = f"{outcome.died}" if outcome.died else "did not end in time"
    checks: tuple[Check, ...] = ()
    findings: dict[str, list[Finding]] = {}
    spent: dict[str, float] = {}
    for line in text.splitlines():
        try:
            message = jsonio.loads(line.encode("latin-1"))
            if "broken" in message:
                why = clean(message["broken"])
            elif "declares" in message:
                checks = tuple(_check(one) for one in message["declares"])
            else:
                findings[message["check"]] = [_finding(row) for row in message["rows"][:MAX_FINDINGS]]
                spent[message["check"]] = float(message["ms"])
        except (ValueError, TypeError, KeyError, IndexError, AttributeError):
            why = why or "told something that is no finding"
    return Result(file, checks, findings, spent, why and (why if why.startswith(file.name) else f"{file.name} {why}"))


def _check(row: dict[str, Any]) -> Check:
    """Return a check as a file declared it; raises ValueError for what no check may be."""
    values: dict[str, Any] = {key: tuple(one) if isinstance(one, list) else one for key, one in row.items()}
    check = Check(**values, run=_nothing)
    text = (check.name, check.help, check.unit, check.remedy, check.subject, *check.phases, *check.reads)
    if not all(isinstance(one, str) for one in text) or check.action not in _ACTIONS:
        raise ValueError("no check")
    if not check.name or not set(check.phases) <= set(PHASES) or not isinstance(check.limit, (int, float, type(None))):
        raise ValueError("no check")
    return check._replace(device=False, blame=_blame(check.blame))


def _nothing(context: object, limit: object) -> list[Finding]:
    """A check of another process: it is run there."""
    return []


def _blame(blame: object) -> str:
    """Return the blame, of what is none or would move a job the site's."""
    return str(blame) if blame in _BLAMES else SITE


def _finding(row: list[Any]) -> Finding:
    """Return a finding as a file told it; raises ValueError or TypeError for what is none."""
    found = Finding(*row)
    if found.status not in STATUSES:
        raise ValueError("no finding")
    texts = [None if one is None else clean(one) for one in found[2:9]]
    blame, subject, expected, observed, message, remedy, source = texts
    blame = _blame(blame) if blame else ""
    return Finding(
        "", found.status, blame, (subject or "").replace(":", " "), expected, observed, message or "", remedy, source
    )


def clean(value: object) -> str:
    """Return foreign text as one short printable line."""
    text = " ".join(str(value)[: 4 * MAX_TEXT].split())
    return "".join(one if one.isprintable() else "?" for one in text)[:MAX_TEXT]
