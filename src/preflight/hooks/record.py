"""A run on record: the report in root's spool, the user's copy, the task prolog's note, one line in syslog."""

from __future__ import annotations

import os
import time

from preflight import catalog
from preflight.checks.registry import JobGpus
from preflight.facts.isolate import Channel, Child, StuckGuard, start
from preflight.files import read_json, tolerate, unlink, write_json
from preflight.hooks import journal
from preflight.hooks.assess import Assessment
from preflight.hooks.notes import note_path
from preflight.hooks.run import Run
from preflight.report import store
from preflight.report.model import Report, build, job_block, requirement_block, software_block
from preflight.verdict import Decision, verdict

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

NO_GID = -1


def make(run: Run, found: Assessment, decision: Decision, changes: list[dict[str, Any]] | None = None) -> Report:
    """Return the report of this run, its action still only intended."""
    kind = {"move": "requeue"}.get(decision.kind, decision.kind)
    return build(
        cluster=run.policy.cluster or (run.job.cluster if run.job else ""),
        node=run.node,
        phase=run.phase,
        started=run.started,
        duration_ms=_spent(run),
        verdict=verdict(found.findings),
        findings=found.findings,
        facts=found.document.facts,
        job=_job(run, found),
        requirement=_requirement(found),
        action={"kind": kind, "detail": decision.detail, "enforced": decision.enforced},
        unknown=found.document.unknown,
        changes=changes,
        timings_ms=found.document.timings_ms,
        software=software_block(run.policy.sha256 or None, catalog.VERSION),
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
    )


def _indexes(found: Assessment, gpus: JobGpus | None) -> list[int] | None:
    if gpus is None or gpus.problem:
        return None
    devices = (found.document.facts.get("gpus") or {}).get("devices") or []
    places = dict.fromkeys((*gpus.positions, *(at for at, _ in gpus.slices)))
    return [devices[at]["index"] for at in places]


def _requirement(found: Assessment) -> dict[str, Any] | None:
    rows = [one for one in found.findings if one.check in ("requirement", "expectation") and one.expected]
    if not rows:
        return None
    texts = [one.requirement.text() for one in found.asked] + [text for text, _, _ in found.broken]
    return requirement_block(", ".join(texts), [(str(row.expected), str(row.source), row.status) for row in rows])


def _spent(run: Run) -> float:
    return (time.monotonic() - run.began) * 1000


def finish(run: Run, report: Report) -> None:
    """Write the report everywhere it goes; a place that fails costs only itself and is named in syslog."""
    report["duration_ms"] = round(_spent(run), 3)
    troubles = []
    copied = Copy(run, report) if run.job is not None and run.policy.report.dir else None
    try:
        store.write_spool(run.policy.report.spool, report)
    except OSError as error:
        troubles.append(f"spool: {error.strerror}")
    if run.phase == "prolog":
        _note_for_tasks(run, report)
    trouble = copied.end() if copied else ""
    if trouble:
        troubles.append(f"report dir: {trouble}")
        _keep_for_later(run, report)
    say(run, report, troubles)


class Copy:
    """The user's copy on its way: written by a child, since the directory may hang, while the hook goes on."""

    def __init__(self, run: Run, report: Report) -> None:
        seconds = min(run.policy.report.write_s, run.deadline - time.monotonic() - 0.3)
        self._where = run.policy.report.dir
        self._until = time.monotonic() + seconds
        self._guard = StuckGuard(run.run_dir, f"copy-{run.node}")
        self._child: Child | None = None
        self._trouble = "no time left" if seconds <= 0 else ""
        self.refused = False  # this copy alone: its job's directory is not ours, say
        stuck = self._guard.stuck()
        if stuck:
            self._trouble = f"an earlier write still hangs ({stuck})"
        if self._trouble:
            return

        def write(channel: Channel) -> None:
            channel.doing("writing the copy")
            uid = (report["job"] or {}).get("uid")
            try:
                store.write_copy(self._where, report, NO_GID if uid is None else uid, _admin_gid(run))
            except OSError as error:
                told = f"{error.strerror}: {error.filename}"
                channel.tell({"trouble": told, "refused": error.filename != self._where})

        try:
            self._child = start("copy", write, seconds)
        except OSError as error:
            self._trouble = str(error.strerror)

    def end(self) -> str:
        """Wait for the child as long as the policy lets it; return "" or what went wrong."""
        if self._child is None:
            return self._trouble
        outcome = self._child.collect(self._until)
        self._guard.record(outcome)
        if outcome.messages:
            self.refused = bool(outcome.messages[0]["refused"])
            return str(outcome.messages[0]["trouble"])
        return "" if outcome.finished else f"{self._where}: {outcome.why()}"


def _admin_gid(run: Run) -> int:
    if not run.policy.report.admin_group:
        return NO_GID
    import grp

    try:
        return grp.getgrnam(run.policy.report.admin_group).gr_gid
    except KeyError:
        return NO_GID


def _keep_for_later(run: Run, report: Report) -> None:
    with tolerate(OSError):
        name = f"{store.job_folder(report)}.{store.file_name(report)}"
        write_json(f"{run.policy.report.spool}/outbox/{name}", report)


def deliver_left_over(run: Run) -> None:
    """Try again to write the users' copies that could not be written.

    Stops where the directory is missing or hangs. A copy that is refused holds up no other, and is given up when its
    record is.
    """
    directory = f"{run.policy.report.spool}/outbox"
    try:
        names = sorted(os.listdir(directory))
    except OSError:
        return
    oldest = time.time() - run.policy.report.keep_days * 86400
    for name in names:
        report = read_json(f"{directory}/{name}")
        if isinstance(report, dict):
            copy = Copy(run, report)
            if copy.end():
                if not copy.refused:
                    return
                with tolerate(OSError):
                    if os.stat(f"{directory}/{name}").st_mtime < oldest:
                        unlink(f"{directory}/{name}")
                continue
        unlink(f"{directory}/{name}")


def _note_for_tasks(run: Run, report: Report) -> None:
    """Leave verdict and report path for the task prolog: a file of the job's user, which root never reads."""
    job = run.job
    if job is None or job.uid is None:
        return
    bad = [one for one in report["findings"] if one["status"] in ("fail", "warn", "unknown")]
    bad.sort(key=lambda one: ("fail", "unknown", "warn").index(one["status"]))
    directory = run.policy.report.dir
    path = f"{directory}/{store.job_folder(report)}/{store.file_name(report)}" if directory else ""
    note = {"verdict": report["verdict"], "report": path, "message": bad[0]["message"] if bad else ""}
    place = note_path(run.run_dir, run.node, job.id)
    with tolerate(OSError):
        unlink(place)
        write_json(place, note, 0o400)
        os.chown(place, job.uid, -1)


def forget_note(run: Run) -> None:
    """Remove the task prolog's note; the job has left the node."""
    if run.job is not None:
        unlink(note_path(run.run_dir, run.node, run.job.id))


def say(run: Run, report: Report, troubles: list[str]) -> None:
    """Write the run's line to syslog: cleaned, since requirement and job come from users."""
    job = run.job.id if run.job else "-"
    action = report["action"]["kind"] + ("" if report["action"]["enforced"] else "(not enforced)")
    bad = [f"{one['check']}:{one['subject']}={one['status']}" for one in report["findings"] if one["status"] != "pass"]
    shown = [one for one in bad if not one.endswith("=skip")]
    line = (
        f"phase={run.phase} job={job} verdict={report['verdict']} action={action} ms={report['duration_ms']:.0f} "
        f"findings={','.join(shown[:6]) or '-'}"
    )
    if run.policy.problem:
        troubles = [*troubles, f"policy: {run.policy.problem}"]
    if troubles:
        line += f" trouble={' / '.join(troubles)}"
    quiet = report["verdict"] == "ready" and not troubles
    journal.say(journal.INFO if quiet else journal.WARNING, line)
