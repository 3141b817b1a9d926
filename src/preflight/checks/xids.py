"""What the kernel's log says of GPUs: Xids, SXids, and faults that come without one."""

from __future__ import annotations

from preflight.catalog.xids import DRAIN, WARN, xid
from preflight.checks.events import age, board, events, recent, worth, xid_text
from preflight.checks.finding import Finding, failed, passed, skipped, warned
from preflight.checks.registry import Context, check
from preflight.facts.view import Unknown, View

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

LOG = "kernel log"
RESET = "drain; reset the GPU (nvidia-smi --gpu-reset) or reboot; hardware service where it comes back"


def unread(context: Context) -> Finding | None:
    """Return the finding for a log that could not be read, None for one that was."""
    source = context.node.get("kernel_log.source")
    if isinstance(source, Unknown):
        return skipped(f"the kernel's log was not read: {source.reason}")
    return skipped("there is no kernel log beneath this root") if source == "none" else None


@check("gpu.xid", reads=("gpus", "kernel_log"), remedy=RESET, device=True, source=LOG)
def hardware(context: Context, limit: float | None) -> Iterator[Finding]:
    """No Xid of faulty hardware or a wedged driver came since the boot, the driver's load or the GPU's recovery."""
    absent = unread(context)
    if absent is not None:
        yield absent
        return
    bad: dict[str, list[dict[str, Any]]] = {}
    for one in events(context.node, "xid"):
        if worth(one, context.policy).action == DRAIN:
            bad.setdefault(board(context.node, one).subject, []).append(one)
    for found in bad.values():
        yield _faulty(context, found)
    if context.phase != "prolog":
        doubtful = [one for one in recent(context.node, "xid") if worth(one, context.policy).action == WARN]
        for one in doubtful:
            row = None if one["code"] is None else xid(one["code"], context.policy.tables())
            text = f"Xid {xid_text(one)} on {where(context, one)}, {age(context.node, one)}"
            yield warned(
                text, subject=board(context.node, one).subject, observed=one["code"], remedy=row and row.action
            )
    if not bad:
        yield passed("no Xid of faulty hardware")


def _faulty(context: Context, found: list[dict[str, Any]]) -> Finding:
    """Return the finding about one GPU: the first of its Xids, which the others follow from."""
    first, others = found[0], list(dict.fromkeys(str(one["code"]) for one in found[1:]))
    place = board(context.node, first)
    row = None if first["code"] is None else xid(first["code"], context.policy.tables())
    text = f"Xid {xid_text(first)} on {where(context, first)}, {age(context.node, first)}"
    if others:
        text += f", then {', '.join(others[:6])}"
    remedy = row.action if row else None
    observed = ", ".join([str(first["code"]), *others[:6]])
    job = context.gpus
    elsewhere = bool(first["bus"]) and place.position is None
    if context.phase == "prolog" and elsewhere and job is not None and not job.missing and not job.problem:
        return warned(f"{text}; not a GPU of this job", subject=place.subject, observed=observed, remedy=remedy)
    return failed(text, subject=place.subject, observed=observed, expected="none", remedy=remedy)


def where(context: Context, event: dict[str, Any]) -> str:
    subject = board(context.node, event).subject
    bus = event["bus"] or "no address told"
    return f"{subject} ({bus})" if subject.startswith("gpu") else bus


SWITCH = "drain; reset the GPUs and switches of the baseboard, or reboot; hardware service where it comes back"


@check("nvswitch.sxid", reads=("gpus", "kernel_log"), remedy=SWITCH, device=True, source=LOG)
def switch(context: Context, limit: float | None) -> Iterator[Finding]:
    """No NVSwitch reported a fatal error (SXid) since the boot."""
    yield from findings_of(context, events(context.node, "sxid"), "fatal", "no fatal SXid")


BUS = "reboot the node or cycle its power; hardware service where it comes back"


@check("gpu.bus", reads=("gpus", "kernel_log"), remedy=BUS, device=True, source=LOG)
def bus(context: Context, limit: float | None) -> Iterator[Finding]:
    """No GPU has fallen off the bus, told by the driver without an Xid."""
    yield from findings_of(context, events(context.node, "off_the_bus"), "fatal", "no GPU fell off the bus")


def findings_of(context: Context, found: list[dict[str, Any]], severity: str, well: str) -> Iterator[Finding]:
    """Yield a fail for each event, a warning for those of another severity (not in a prolog), or that all is well."""
    absent = unread(context)
    if absent is not None:
        yield absent
        return
    bad = [one for one in found if not severity or one["severity"] == severity]
    for one in bad:
        yield failed(_line(context.node, one), subject=_subject(context, one), observed=one["code"], expected="none")
    for one in found:
        if one not in bad and context.phase != "prolog":
            yield warned(_line(context.node, one), subject=_subject(context, one), observed=one["code"])
    if not bad:
        yield passed(well)


def _subject(context: Context, event: dict[str, Any]) -> str:
    return event["subject"] or board(context.node, event).subject


def _line(view: View, event: dict[str, Any]) -> str:
    """Return the kernel's own words, shortened, with how often and when."""
    often = f" ({event['times']} times)" if event["times"] > 1 else ""
    return f"{event['text'][:100]}{often}, {age(view, event)}"
