"""The reports of a job that the fleet store has, for `preflight report` by root."""

from __future__ import annotations

import os
from typing import Any

from preflight.report.find import Wanted
from preflight.report.found import Found, Keep, entry_of, in_order
from preflight.report.validate import ReportError, load


def with_store(found: Found, wanted: Wanted, url: str, keep: Keep) -> Found:
    """Return ``found`` with what the store at ``url`` has beside it, by id; a store that fails is one more note."""
    try:
        from preflight.fleet.query.jobs import raw_reports
        from preflight.fleet.store.interface import StoreError
        from preflight.fleet.store.open import open_reader
    except ImportError as error:
        return found._replace(notes=[*found.notes, f"{url}: {error.name} is not installed: slurm-preflight[fleet]"])
    try:
        store = open_reader(url)
        raws = raw_reports(store, wanted.job)
        store.close()
    except StoreError as error:
        return found._replace(notes=[*found.notes, str(error)])
    known = {(one.head.cluster, one.head.id) for one in found.entries}
    more = []
    for raw in raws:
        report = _loaded(raw)
        if report and (report["cluster"], report["id"]) not in known and _is_wanted(report["job"], wanted):
            more.append(entry_of(report, raw, keep))
    return found._replace(entries=in_order([*found.entries, *more]), looked=[*found.looked, url])


def store_url(configured: str) -> str:
    """Return the store that root's `report` asks: PREFLIGHT_STORE, else the policy's; "" for another user."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return ""
    return os.environ.get("PREFLIGHT_STORE", "") or configured


def _loaded(raw: bytes) -> dict[str, Any] | None:
    try:
        report = load(raw)
    except ReportError:  # of a later version: its own Preflight reads it
        return None
    return report if report["job"] else None


def _is_wanted(job: dict[str, Any], wanted: Wanted) -> bool:
    if wanted.task is not None:
        return bool(job["array_task_id"] == wanted.task and wanted.job in (job["array_job_id"], job["id"]))
    return bool(job["id"] == wanted.job or (job["array_job_id"] == wanted.job and not wanted.alone))
