"""Running the checks of a phase over facts, and keeping a bug in one of them from being more than `unknown`."""

from __future__ import annotations

import time

from preflight.checks.finding import Finding, skipped, untold
from preflight.checks.registry import REGISTRY, Check, Context, every_check
from preflight.digits import is_whole
from preflight.policy.model import Policy

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator
    from typing import Protocol, TypeVar

    Made = TypeVar("Made")

    class Memo(Protocol):
        """What remembers a check's findings; it knows when what the check reads has changed."""

        versions: dict[str, int]

        def once(self, key: Hashable, make: Callable[[], Made]) -> Made: ...

        def get(self, context: Context, check: Check, action: str, limit: float | None) -> list[Finding] | None: ...

        def put(
            self, context: Context, check: Check, action: str, limit: float | None, findings: list[Finding]
        ) -> None: ...


CHECKER = "checker"


class _Chosen:
    """A phase's last answer of `checks_for`, and the policy and the checks that it is of: a run asks more than once."""

    last: dict[str, tuple[Policy, tuple[int, ...], list[tuple[Check, str, float | None]]]] = {}  # noqa: RUF012


def checks_for(context: Context) -> list[tuple[Check, str, float | None]]:
    """Return (check, action, limit) of each check that the phase and the policy ask for."""
    last = _Chosen.last.get(context.phase)
    if last is not None and last[0] is context.policy and last[1] == tuple(map(id, REGISTRY.values())):
        return last[2]
    chosen = []
    kinds = {row.check for row in context.policy.host_rows(context.phase)}
    for check in every_check(context.phase == "prolog", kinds).values():
        if check.rows and check.rows not in kinds:
            continue
        said = context.policy.check(check.name)
        action = said.action or check.action
        if context.phase in check.phases and action != "off":
            chosen.append((check, action, check.limit if said.limit is None else said.limit))
    _Chosen.last[context.phase] = context.policy, tuple(map(id, REGISTRY.values())), chosen
    return chosen


def run_checks(context: Context, memo: Memo | None = None) -> list[Finding]:
    """Return the findings of all checks of ``context.phase``; never raises. ``memo``: what they found before."""
    findings: list[Finding] = []
    for check, action, limit in checks_for(context):
        known = memo.get(context, check, action, limit) if memo else None
        if known is not None:
            findings += known
            continue
        began = time.perf_counter()
        try:
            found = list(_run(check, context, limit))
        except Exception as error:  # a bug of ours is a finding, not a crash
            text = f"the check {check.name} itself failed: {type(error).__name__}: {error}"
            makers = "report this to Preflight's makers"
            found = [untold(text, subject=check.name, remedy=makers, blame="site")._replace(check=CHECKER)]
        spent = round((time.perf_counter() - began) * 1000, 3)
        made = [settled(one, check, action, context, spent) for one in found]
        if memo:
            memo.put(context, check, action, limit, made)
        findings += made
    return findings


def settled(finding: Finding, check: Check, action: str, context: Context, spent_ms: float) -> Finding:
    """Return the finding with what its check declares, and in the light of the policy's ``action`` for it."""
    return _settle(_declared(finding, check, spent_ms), check, action, context)


def _run(check: Check, context: Context, limit: float | None) -> Iterator[Finding]:
    unread = [one for one in check.reads if one not in context.node.facts and one not in context.node.unknown]
    if unread:
        why = f"{', '.join(unread)} not read: nothing of this job needs it"
        yield skipped(why, subject="node")
        return
    yield from check.run(context, limit)


def _declared(finding: Finding, check: Check, spent_ms: float) -> Finding:
    """Return the finding with what it leaves out: its check's name, subject, blame, remedy and source."""
    name, status, blame, subject, expected, observed, message, remedy, source, _ = finding
    if remedy is None and status in ("fail", "warn"):
        remedy = check.remedy
    if not subject.isprintable():  # what a user wrote, or the name of a mount: it begins no line of its own anywhere
        from preflight.requirements.text import escaped

        subject = "".join(map(escaped, subject))
    return Finding(
        name or check.name,
        status,
        blame or check.blame,
        subject or check.subject,
        expected,
        observed,
        message,
        remedy,
        source or check.source,
        spent_ms,
    )


def _settle(finding: Finding, check: Check, action: str, context: Context) -> Finding:
    """Turn a fail into a warning where the policy says so, or where it is about a GPU that is not the job's."""
    if finding.status in ("fail", "warn") and check.device:
        finding = _named(finding, context)
    if finding.status != "fail":
        return finding
    if action == "warn" and not check.rows:  # each row has an action of its own
        return finding._replace(status="warn")
    if check.device and context.phase == "prolog" and not _concerns_job(finding, context):
        return finding._replace(status="warn", message=f"{finding.message}; not a GPU of this job")
    return finding


def _named(finding: Finding, context: Context) -> Finding:
    """Name the job's MIG devices in what is found about their GPU: it is theirs, but not only theirs."""
    at = _position(finding, context)
    if context.gpus is None or at is None or at in context.gpus.positions or not context.gpus.has(at):
        return finding
    label = context.gpus.label(at, context.node.facts["gpus"]["devices"][at])
    return finding if label in finding.message else finding._replace(message=f"{label}: {finding.message}")


def _position(finding: Finding, context: Context) -> int | None:
    """Return where in the list of devices the GPU stands that a finding is about, None where it is about none."""
    if not (finding.subject.startswith("gpu") and is_whole(finding.subject[3:])):
        return None
    index = int(finding.subject[3:])
    devices = context.node.facts.get("gpus", {}).get("devices") or []
    return next((at for at, device in enumerate(devices) if device.get("index") == index), None)


def _concerns_job(finding: Finding, context: Context) -> bool:
    if context.gpus is None or finding.subject in context.gpus.missing:
        return True
    if finding.subject.startswith("gpu") and is_whole(finding.subject[3:]):
        at = _position(finding, context)
        return at is not None and context.is_jobs(at)
    return context.gpus.some  # the driver as a whole: whichever GPUs are the job's, they hang on it
