"""A report as the store takes it: decoded once, validated, and reduced to what is kept in columns."""

from __future__ import annotations

import hashlib
from datetime import datetime, timezone
from typing import Literal, NamedTuple, Optional

import msgspec

from preflight.fleet.keys import DAY_MS as DAY_MS
from preflight.fleet.profile import Profile, ProfileReader
from preflight.fleet.store.interface import text
from preflight.report.clean import clean
from preflight.report.model import FORMAT

TYPE_CHECKING = False  # as typing's
if TYPE_CHECKING:
    from preflight.fleet.store.frames import Frame

MAX_BYTES = 2 << 20  # a hundred times an ordinary report of eight GPUs
# Letters of a name: a node's or cluster's as report/store.py takes it, a user's or partition's as a key of both
# databases holds it (a row of a PostgreSQL B-tree: 2,704 bytes).
MAX_NAME = 200
MAX_SUBJECT = 120
MAX_BOOT = 64
AHEAD_MS = DAY_MS  # a clock may be wrong by this much; a report further in the future is no report of that time
EPOCH_MS = 1_700_000_000_000  # November 2023: before the first report that there can be
LOUD = ("fail", "warn", "unknown")

_Verdict = Literal["unhealthy", "mismatch", "unknown", "degraded", "ready"]
_Phase = Literal["prolog", "epilog", "health"]
_Status = Literal["pass", "warn", "fail", "skip", "unknown"]
_Blame = Literal["node", "job", "site", "user"]
_Kind = Literal["none", "requeue", "hold", "cancel", "drain", "resume", "reboot", "command"]


class RefusedError(ValueError):
    """A text that the store does not take as a report: one line, why."""


# Optional[...]: msgspec evaluates these annotations, and Python 3.9 has no X | None.
class _Job(msgspec.Struct, gc=False):
    id: int
    array_job_id: Optional[int] = None
    array_task_id: Optional[int] = None
    restart: Optional[int] = None
    user: Optional[str] = None
    uid: Optional[int] = None
    partition: Optional[str] = None
    nodes: Optional[str] = None


class _Finding(msgspec.Struct, gc=False):
    check: str
    status: _Status
    blame: _Blame
    subject: str


class _Action(msgspec.Struct, gc=False):
    kind: _Kind
    detail: Optional[str]
    enforced: bool


class _Software(msgspec.Struct, gc=False):
    preflight: str
    python: str
    policy_sha256: Optional[str]
    catalog: Optional[str]


class _Boot(msgspec.Struct, gc=False):
    id: str
    at: datetime


class _Report(msgspec.Struct, gc=False):
    format: str
    id: str
    cluster: str
    node: str
    phase: _Phase
    started: datetime
    duration_ms: float
    job: Optional[_Job]
    verdict: _Verdict
    action: _Action
    findings: list[_Finding]
    facts: dict[str, msgspec.Raw]
    software: _Software
    requirement: msgspec.Raw
    counts: dict[str, int]
    timings_ms: dict[str, float]
    boot: Optional[_Boot] = None


class Loud(NamedTuple):
    """A finding that is neither pass nor skip; ``check`` and ``subject`` are one line each, whatever a node sent."""

    check: str
    status: str
    blame: str
    subject: str


class Boot(NamedTuple):
    """The boot of the node that a report is of; ``up_ms``: when it was, milliseconds since the epoch."""

    id: str
    up_ms: int


class JobOf(NamedTuple):
    """The job of a report; ``restart`` is 0 where Slurm gave none, texts "" and numbers None likewise."""

    id: int
    array: int | None
    task: int | None
    restart: int
    user: str
    partition: str
    nodes: str


class Entry(NamedTuple):
    """One report: ``raw`` its bytes as the node wrote them (or a view of them), the rest what columns hold.

    ``key``: 16 bytes of cluster and id. ``started_ms``: milliseconds since the epoch. ``duration_ms``: of the hook.
    ``frame``: ``raw`` as a store packed it ahead of writing it (`Store.pack`).
    """

    key: bytes
    raw: bytes | memoryview
    id: str
    cluster: str
    node: str
    phase: str
    started_ms: int
    duration_ms: float
    verdict: str
    action: str
    detail: str
    enforced: bool
    job: JobOf | None
    loud: tuple[Loud, ...]
    profile: Profile
    preflight: str
    policy: str
    boot: Boot | None
    frame: Frame | None = None

    @property
    def day(self) -> int:
        """Days since the epoch on which the run started (UTC)."""
        return self.started_ms // DAY_MS


class EntryReader:
    """Decodes reports; keeps what many of them share. Not for several threads at once."""

    def __init__(self) -> None:
        self._decoder = msgspec.json.Decoder(_Report)
        self._profiles = ProfileReader()

    def read(self, raw: bytes | memoryview, now_ms: int | None = None) -> Entry:
        """Return the report in ``raw``; raises RefusedError with one line.

        ``now_ms``: the collector's clock; a report dated more than a day ahead of it is refused. None where the
        report was taken already.
        """
        if len(raw) > MAX_BYTES:
            raise RefusedError(f"larger than {MAX_BYTES >> 20} MiB")
        try:
            report = self._decoder.decode(raw)
        except RecursionError:
            raise RefusedError("nested too deeply") from None
        except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
            raise RefusedError(_line(error)) from None
        _check(report)
        started = round(report.started.timestamp() * 1000)
        if now_ms is not None:
            _check_time(started, now_ms)
        action = report.action
        return Entry(
            key=key_of(report.cluster, report.id),
            raw=raw,
            id=report.id,
            cluster=report.cluster,
            node=report.node,
            phase=report.phase,
            started_ms=started,
            duration_ms=report.duration_ms,
            verdict=report.verdict,
            action=action.kind,
            detail=text(action.detail),
            enforced=action.enforced,
            job=_job(report.job),
            loud=tuple(
                Loud(clean(text(one.check), MAX_SUBJECT), one.status, one.blame, clean(text(one.subject), MAX_SUBJECT))
                for one in report.findings
                if one.status in LOUD
            ),
            profile=self._profiles.read(report.facts),
            preflight=text(report.software.preflight)[:MAX_NAME],
            policy=text(report.software.policy_sha256)[:MAX_NAME],
            boot=_boot(report.boot),
        )


def key_of(cluster: str, id: str) -> bytes:
    """Return the 16 bytes under which the store knows a report."""
    return hashlib.blake2b(f"{cluster}\0{id}".encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _check(report: _Report) -> None:
    if report.format != FORMAT:
        raise RefusedError(f"format is not {FORMAT}: {ascii(report.format)[:40]}")
    if report.started.tzinfo is None:
        raise RefusedError("started has no time zone")
    for name, value in (("node", report.node), ("id", report.id)):
        if not value or len(value) > 2 * MAX_NAME or not value.isprintable():
            raise RefusedError(f"{name} is no name: {ascii(value)[:40]}")
    if len(report.cluster) > MAX_NAME or (report.cluster and not report.cluster.isprintable()):
        raise RefusedError(f"cluster is no name: {ascii(report.cluster)[:40]}")
    if not report.id.startswith(f"{report.node}/"):
        raise RefusedError(f"id is not of node {ascii(report.node)[:40]}: {ascii(report.id)[:60]}")
    if not 0 <= report.duration_ms < 1e9:
        raise RefusedError(f"duration_ms is no time: {report.duration_ms}")
    job = report.job
    numbers = () if job is None else (job.id, job.array_job_id, job.array_task_id, job.restart)
    for number in numbers:
        if number is not None and not 0 <= number < 1 << 32:
            raise RefusedError(f"job has a number that Slurm never gives: {str(number)[:40]}")
    if job is not None and job.restart is not None and job.restart >= 1 << 31:
        raise RefusedError(f"job has a number that Slurm never gives: {job.restart}")


def _check_time(started_ms: int, now_ms: int) -> None:
    if started_ms > now_ms + AHEAD_MS:
        raise RefusedError(f"started {_day(started_ms)}, more than a day ahead of the collector's clock")
    if started_ms < EPOCH_MS:
        raise RefusedError(f"started {_day(started_ms)}, before there were reports: the node's clock was not set")


def _day(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, timezone.utc).date().isoformat()


def _job(job: _Job | None) -> JobOf | None:
    if job is None:
        return None
    return JobOf(
        id=job.id,
        array=job.array_job_id,
        task=job.array_task_id,
        restart=job.restart or 0,
        user=text(job.user)[:MAX_NAME],
        partition=text(job.partition)[:MAX_NAME],
        nodes=text(job.nodes),
    )


def _boot(boot: _Boot | None) -> Boot | None:
    if boot is None or not boot.id:
        return None
    if boot.at.tzinfo is None:
        raise RefusedError("boot.at has no time zone")
    return Boot(text(boot.id)[:MAX_BOOT], round(boot.at.timestamp() * 1000))


def _line(error: Exception) -> str:
    return " ".join(ascii(str(error))[1:-1].split())[:200]
