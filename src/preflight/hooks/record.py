"""A run on record: the report in root's spool, the user's copy, the task prolog's note, one line in syslog."""

from __future__ import annotations

import os
import time

from preflight import catalog
from preflight.checks.finding import Finding
from preflight.checks.registry import JobGpus
from preflight.facts.cache import boot_id
from preflight.files import tolerate, unlink, write_json
from preflight.hooks import journal
from preflight.hooks.assess import Assessment
from preflight.hooks.cluster import cluster_of
from preflight.hooks.keep import Delivery, write_record
from preflight.hooks.notes import note_path
from preflight.hooks.run import Run
from preflight.report import store
from preflight.report.model import Report, boot_block, build, job_block, requirement_block, software_block
from preflight.verdict import Decision, verdict

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

LISTED = 256  # expectations of one status in a report
MOST_TEXT = 16_384  # characters of what was asked


def make(run: Run, found: Assessment, decision: Decision, changes: list[dict[str, Any]] | None = None) -> Report:
    """Return the report of this run, its action still only intended."""
    kind = {"move": "requeue"}.get(decision.kind, decision.kind)
    return build(
        cluster=cluster_of(run),
        node=run.node,
        phase=run.phase,
        started=run.started,
        duration_ms=spent_ms(run),
        verdict=verdict(found.findings),
        findings=_listed(found.findings),
        facts=found.document.facts,
        job=_job(run, found),
        requirement=_requirement(found),
        action={"kind": kind, "detail": decision.detail, "enforced": decision.enforced},
        unknown=found.document.unknown,
        changes=changes,
        timings_ms=found.document.timings_ms,
        software=software_block(run.policy.sha256 or None, catalog.VERSION),
        boot=boot_block(boot_id(), time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)),
    )


def _job(run: Run, found: Assessment) -> dict[str, Any] | None:
    job = run.job
    if job is None:
        return None
    return job_block(
        job.id,
        array_job_id=job.array_job_id,
        array_task_id=job.array_task_id,
        restart=job.restart,
        user=job.user or None,
        uid=job.uid,
        partition=job.partition or None,
        nodes=job.nodes or None,
        gpus=_indexes(found, found.gpus),
        constraints=job.constraints or None,
        mig=_mig(found, found.gpus),
    )


def _mig(found: Assessment, gpus: JobGpus | None) -> list[dict[str, Any]] | None:
    if gpus is None or gpus.problem:
        return None
    devices = (found.document.facts.get("gpus") or {}).get("devices") or []
    listed = [(devices[at]["index"], (devices[at].get("mig_devices") or [])[place]) for at, place in gpus.slices]
    return [{"gpu": gpu, **{key: one.get(key) for key in ("index", "profile", "uuid")}} for gpu, one in listed]


def _indexes(found: Assessment, gpus: JobGpus | None) -> list[int] | None:
    if gpus is None or gpus.problem:
        return None
    devices = (found.document.facts.get("gpus") or {}).get("devices") or []
    places = dict.fromkeys((*gpus.positions, *(at for at, _ in gpus.slices)))
    return [devices[at]["index"] for at in places]


def _listed(findings: list[Finding]) -> list[Finding]:
    """Return the findings with LISTED expectations of a status at most, and how many more there are: a site may have
    thousands, and a report that is too large is nobody's.
    """
    seen: dict[tuple[str, str], int] = {}
    found = []
    for one in findings:
        kind = (one.status, one.blame)
        if one.check == "expectation":
            seen[kind] = seen.get(kind, 0) + 1
        if one.check != "expectation" or seen[kind] <= LISTED:
            found.append(one)
    for (status, blame), number in seen.items():
        if number > LISTED:
            more = f"{number - LISTED} more expectations have this answer: too many to list"
            found.append(Finding("expectation", status, blame, "more", None, None, more, None, "policy"))
    return found


def _requirement(found: Assessment) -> dict[str, Any] | None:
    rows = [one for one in _listed(found.findings) if one.check in ("requirement", "expectation") and one.expected]
    if not rows:
        return None
    stated = [one.requirement.text() for one in found.asked if one.stated]
    text = ", ".join(stated + [text for text, _, _ in found.broken if text])
    if len(text) > MOST_TEXT:
        text = f"{text[:MOST_TEXT]}… ({len(text)} characters)"
    return requirement_block(text, [(str(row.expected), str(row.source), row.status) for row in rows])


def spent_ms(run: Run) -> float:
    """Return the milliseconds since the run began."""
    return (time.monotonic() - run.began) * 1000


def finish(run: Run, report: Report) -> bool:
    """Write the report everywhere it goes and return whether root's record is kept where it belongs.

    A place that fails costs only itself and is named in syslog; what could not be written waits for the health check.
    """
    report["duration_ms"] = round(spent_ms(run), 3)
    troubles = []
    delivery = Delivery(run, report, copy=run.job is not None and bool(run.policy.report.dir))
    if run.phase == "prolog":
        note_for_tasks(run, report)
    delivery.end()
    if delivery.record:
        troubles.append(f"spool: {delivery.record}")
        _outbox().keep_record(run, report)
    if delivery.copy:
        troubles.append(f"report dir: {delivery.copy}")
        if not delivery.record:
            _outbox().keep_copy(run, report)
    if run.line is not None:
        run.line.on_record()
    say(run, report, troubles)
    return not delivery.record


def passed(run: Run, report: Report) -> str:
    """Write the report of a job that passes, which no user's copy is made of; return what went wrong, "" for nothing.

    For a child that may be ended at any time: all is done anew then. The record comes last, since its link for
    shipping may be sent at once.
    """
    report["duration_ms"] = round(spent_ms(run), 3)
    note_for_tasks(run, report)
    trouble = write_record(run, report)
    if not trouble:
        say(run, report, [])
    return trouble


def _outbox() -> Any:
    """Return the module that keeps for later what could not be written; few runs need it."""
    from preflight.hooks import outbox

    return outbox


def note_for_tasks(run: Run, report: Report) -> None:
    """Leave verdict and report path for the task prolog: a file of the job's user, which root never reads."""
    job = run.job
    if job is None or job.uid is None:
        return
    bad = [one for one in report["findings"] if one["status"] in ("fail", "warn", "unknown")]
    bad.sort(key=lambda one: ("fail", "unknown", "warn").index(one["status"]))
    directory = run.policy.report.dir
    path = f"{directory}/{store.job_folder(report)}/{store.file_name(report)}" if directory else ""
    action = report["action"]
    # What a user reads of a job that runs on all the same must not sound as if something had been done.
    only = "" if action["enforced"] or action["kind"] == "none" else "only noted, the job runs on: "
    note = {"verdict": report["verdict"], "report": path, "message": f"{only}{bad[0]['message']}" if bad else ""}
    place = note_path(run.run_dir, run.node, job.id)
    with tolerate(OSError):
        unlink(place)
        write_json(place, note, 0o400)
        os.chown(place, job.uid, -1)


def forget_note(run: Run) -> None:
    """Remove the task prolog's note; the job has left the node."""
    if run.job is not None:
        unlink(note_path(run.run_dir, run.node, run.job.id))


def _held_by(action: dict[str, Any]) -> str:
    """Return in a word why an action was not taken."""
    words = {
        "drain breaker": "breaker",
        "slow controller": "slow-controller",
        "observe": "observe",
        "kill switch": "kill-switch",
    }
    return next((word for start, word in words.items() if action["detail"].startswith(start)), "not enforced")


def say(run: Run, report: Report, troubles: list[str]) -> None:
    """Write the run's line to syslog: cleaned, since requirement and job come from users."""
    job = run.job.id if run.job else "-"
    action = report["action"]["kind"] + ("" if report["action"]["enforced"] else f"({_held_by(report['action'])})")
    bad = [f"{one['check']}:{one['subject']}={one['status']}" for one in report["findings"] if one["status"] != "pass"]
    shown = [one for one in bad if not one.endswith("=skip")]
    line = (
        f"phase={run.phase} job={job} verdict={report['verdict']} action={action} ms={report['duration_ms']:.0f} "
        f"findings={','.join(shown[:6]) or '-'}"
    )
    if run.policy.problem:
        troubles = [*troubles, f"policy: {run.policy.problem}"]
    elif doubts := run.policy.doubts():
        more = f" (and {len(doubts) - 1} more)" if len(doubts) > 1 else ""
        troubles = [*troubles, f"policy: {doubts[0]}{more}"]
    if troubles:
        line += f" trouble={' / '.join(troubles)}"
    quiet = report["verdict"] == "ready" and not troubles
    journal.say(journal.INFO if quiet else journal.WARNING, line)
