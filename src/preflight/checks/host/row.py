"""How a kind of [[host]] row is judged: a check "host.KIND", with a finding for each row of this node and phase."""

from __future__ import annotations

from preflight.checks.finding import Finding, failed, passed, skipped, untold, warned
from preflight.checks.registry import PHASES, Context, check
from preflight.facts.host.kind import kind_of
from preflight.facts.view import Unknown
from preflight.times import seconds

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from preflight.facts.host.kind import Kind
    from preflight.policy.model import HostRow, Policy

    Judge = Callable[[dict[str, Any], dict[str, Any]], Iterable[Finding]]

__all__ = ["failed", "host_check", "passed", "skipped", "untold", "warned"]
WINDOW = "1h"
SOFTEST = ("off", "warn", "drain")


def host_check(
    kind: str, *, remedy: str, action: str = "warn", blame: str = "node"
) -> Callable[[Judge], Callable[..., Iterable[Finding]]]:
    """Register ``function(args, told) -> findings`` as the judge of one row of ``kind``; none of them passes.

    What users alone can bring about has blame "user", whatever
    ``blame`` is. A row that could not be told, or whose file system or peer did not answer, is unknown.
    """

    declared = kind_of(kind)

    def wrap(judge: Judge) -> Callable[..., Iterable[Finding]]:
        def run(context: Context, limit: float | None) -> Iterator[Finding]:
            for row in context.policy.host_rows(context.phase):
                if row.check == kind:
                    to = _action(row, context.policy, action)
                    if to == "off":
                        continue
                    for one in _of_row(context, row, declared, judge):
                        yield _settled(one, row, declared, to, blame)

        run.__doc__ = judge.__doc__
        reads, name = (declared.fact,), f"host.{kind}"
        check(name, reads=reads, remedy=remedy, phases=PHASES, action=action, blame=blame, rows=kind)(run)
        return run

    return wrap


def _action(row: HostRow, policy: Policy, default: str) -> str:
    """Return the softest of what the row and the tables of its kind and its own name say, else the kind's."""
    tables = (policy.check(f"host.{row.check}"), policy.check(row.own_name))
    said = [one for one in (row.action, *(table.action for table in tables)) if one]
    return min(said, key=SOFTEST.index) if said else default


def _of_row(context: Context, row: HostRow, kind: Kind, judge: Judge) -> Iterable[Finding]:
    rows, stuck = context.node.get(f"{kind.fact}.rows"), context.node.get(f"{kind.fact}.stuck_at")
    if isinstance(rows, Unknown):
        return [untold(rows)]
    told = next((one for one in rows if one["kind"] == row.check and one["args"] == row.args), None)
    if told is None:
        return [untold(f"could not tell: {stuck}" if isinstance(stuck, str) else "was not read")]
    if told.get("hung"):
        return [untold(f"no answer from {told['hung']}", observed="no answer")]
    if told.get("error"):
        return [untold(f"could not tell: {told['error']}")]
    found = list(judge(row.args, _grown(context, row, told["told"])))
    return found or [passed("as the policy asks")]


def _grown(context: Context, row: HostRow, told: dict[str, Any]) -> dict[str, Any]:
    """Return what was told, and of its counters by how much each grew within the row's window (``grown``)."""
    if "counters" not in told:
        return told
    window_s = seconds(row.args.get("window", WINDOW))
    before = context.samples
    grown = {
        name: growth(before.get(f"{row.check} {name}", ()), value, window_s) for name, value in told["counters"].items()
    }
    return {**told, "grown": grown}


def growth(samples: Iterable[tuple[float, int]], value: int, window_s: float) -> int:
    """Return by how much a counter grew within ``window_s``: ``samples`` are (seconds ago, value), oldest first.

    A counter that is lower than before was set back to zero, and grew by what it has now. Without a sample it grew by
    nothing: what it counted before it was first looked at is nobody's.
    """
    within = [number for ago, number in samples if ago <= window_s]
    older = [number for ago, number in samples if ago > window_s]
    steps = [*older[-1:], *within, value]
    return sum(now - was if now >= was else now for was, now in zip(steps[:-1], steps[1:]))


def _settled(finding: Finding, row: HostRow, kind: Kind, action: str, blame: str) -> Finding:
    subject = finding.subject or kind.subject(row.args)
    changed = finding._replace(subject=subject, source=finding.source or "policy", check=row.own_name or finding.check)
    if finding.status == "fail":
        whose = finding.blame or ("user" if row.users else blame)
        changed = changed._replace(blame=whose)
        if action == "warn" or whose == "user":
            changed = changed._replace(status="warn")
    return changed
