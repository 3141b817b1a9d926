"""Reports as log records of OpenTelemetry, over OTLP/HTTP: an extra, off unless `preflight serve --otlp` names one.

A record for each report that is not ready or did something. OpenTelemetry's own queue is bounded and drops what does
not go through: the store is the record, this is a copy. A report that comes twice is told twice; its id is there.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from opentelemetry._logs import SeverityNumber
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource

from preflight import __version__
from preflight.fleet.entry import Entry

LOGGER = "preflight.reports"
TIMEOUT_S = 10.0
QUEUE = 4096  # records
SEVERITY = {
    "unhealthy": SeverityNumber.ERROR,
    "mismatch": SeverityNumber.WARN,
    "unknown": SeverityNumber.WARN,
    "degraded": SeverityNumber.WARN,
    "ready": SeverityNumber.INFO,
}


class OtlpLogs:
    """Sends to ``endpoint``, such as http://127.0.0.1:4318/v1/logs, from a thread of its own."""

    def __init__(self, endpoint: str) -> None:
        resource = Resource.create({"service.name": "preflight", "service.version": __version__})
        self._provider = LoggerProvider(resource, shutdown_on_exit=False)
        exporter = OTLPLogExporter(endpoint=endpoint, timeout=TIMEOUT_S)
        self._provider.add_log_record_processor(BatchLogRecordProcessor(exporter, max_queue_size=QUEUE))
        self._logger = self._provider.get_logger(LOGGER, __version__)

    def kept(self, entries: Iterable[Entry]) -> None:
        """Take reports that are in the store; never waits."""
        for one in entries:
            if one.verdict != "ready" or one.action != "none":
                self._logger.emit(
                    timestamp=one.started_ms * 1_000_000,
                    severity_number=SEVERITY[one.verdict],
                    severity_text=one.verdict,
                    body=_line(one),
                    attributes=attributes(one),
                )

    def flush(self) -> bool:
        """Send what waits; return whether all went."""
        return bool(self._provider.force_flush(round(TIMEOUT_S * 1000)))

    def close(self) -> None:
        """Send what waits, and end."""
        self._provider.shutdown()


def attributes(one: Entry) -> dict[str, Any]:
    """Return a report's attributes; who the user is stays in the store."""
    its: dict[str, Any] = {
        "host.name": one.node,
        "preflight.cluster": one.cluster,
        "preflight.report": one.id,
        "preflight.phase": one.phase,
        "preflight.verdict": one.verdict,
        "preflight.action": one.action,
        "preflight.enforced": one.enforced,
        "preflight.checks": sorted({loud.check for loud in one.loud}),
    }
    if one.job is not None:
        its["slurm.job.id"] = one.job.id
    return its


def _line(one: Entry) -> str:
    failing = ", ".join(dict.fromkeys(f"{loud.check} {loud.status}" for loud in one.loud[:6])) or "-"
    did = "" if one.action == "none" else f", {one.action}{'' if one.enforced else ' (not enforced)'}"
    return f"{one.node} {one.phase}: {one.verdict}{did}: {failing}"
