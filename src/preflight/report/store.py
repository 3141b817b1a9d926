"""Where reports are kept: root's spool and the user's copy. On the hook's path, so it imports nothing heavy.

    <spool>/reports/<job id>/<node>.<run>.<phase>.json      root only, the record of truth
    <spool>/reports/node/<node>.<time>.health.json          the health check's, the latest few
    <report.dir>/<job id>/<node>.<run>.<phase>.json         0640, the job's user and the admin group

Everything below the two directories that the policy names is opened by descriptor and never through a link,
since the user owns files there. Callers run `write_copy` in a child with a budget: the directory may be remote.
"""

from __future__ import annotations

import os
import time

from preflight import jsonio
from preflight.digits import is_whole
from preflight.files import tolerate
from preflight.report.model import FORMAT, PHASES, Report, run_of
from preflight.tuples import NamedTuple

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

MAX_BYTES = 4 << 20
KEEP_HEALTH = 8
DAY_S = 86400
_DIRECTORY = getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)


def write_spool(spool: str, report: Report, keep: int = KEEP_HEALTH, durable: bool = False) -> str:
    """Write a report into root's spool and return its path; raises OSError.

    Directories are made 0700. A report without a job goes to reports/node, where the ``keep`` latest of the
    node stay. ``durable``: it is on the disk when this returns, and outlives a power cut.
    """
    folder = job_folder(report)
    name = file_name(report)
    os.makedirs(spool, mode=0o700, exist_ok=True)
    with _opened(spool) as top, _folder(top, "reports", 0o700) as reports, _folder(reports, folder, 0o700) as place:
        _require_private(top, spool)
        replace(place, name, encode(report), 0o600, durable=durable)
        if folder == "node":
            _keep_latest(place, report["node"], name, keep)
    return spool_path(spool, report)


def spool_path(spool: str, report: Report) -> str:
    """Return where a report stands in root's spool; raises OSError for a bad job id."""
    return os.path.join(spool, "reports", job_folder(report), file_name(report))


def write_copy(directory: str, report: Report, uid: int, gid: int) -> str:
    """Write the copy that the job's user reads and return its path; raises OSError.

    ``directory`` (report.dir) must be there: it is not made, since it may be a mount that is missing just now.
    ``uid`` is the job's user, ``gid`` the admin group (-1 leaves root's). Refuses a job directory that is not
    ours or that others may write, and a ``directory`` that is a link: the server of a shared one could turn it
    anywhere on this node.
    """
    if report.get("job") is None:
        raise OSError(22, "a report without a job has no user's copy", directory)
    folder = job_folder(report)
    name = file_name(report)
    if os.path.islink(directory):
        raise OSError(20, "is a link; name the directory itself in [report] dir", directory)
    with _opened(directory, _NO_LINK) as top, _folder(top, folder, 0o755) as place:
        replace(place, name, encode(report), 0o640, (uid, gid))
    return os.path.join(directory, folder, name)


def read_spool(spool: str, job_id: int, node: str, phase: str = "prolog") -> Report | None:
    """Return the report of the job's latest run on ``node`` from root's spool, or None where there is none.

    After a requeue the epilog's own restart count belongs to the next run already, hence the latest.
    """
    folder = os.path.join(spool, "reports", str(int(job_id)))
    try:
        with _opened(folder, _NO_LINK) as place:
            _require_ours(place, folder)
            runs = list(_runs(os.listdir(place), node, phase))
            return _read(place, f"{_node(node)}.{max(runs)}.{phase}.json") if runs else None
    except OSError:
        return None


class Pruned(NamedTuple):
    """How many job directories were removed, and of how many that are there."""

    removed: int
    listed: int


def prune_spool(spool: str, before: float, limit: int = 1000, keep: frozenset[str] = frozenset()) -> Pruned:
    """Remove job directories of the spool last written before ``before`` (seconds since the epoch).

    Looks at ``limit`` directories at most, from a random one on (job ids begin again after MaxJobId, so no order of
    theirs is one of time), and returns how many it removed; raises OSError only where the spool cannot be opened.
    Removes what was written within one day of the oldest, so that a clock that jumps costs a day of records, and
    never the directories in ``keep``.
    """
    removed = 0
    old: list[tuple[float, str]] = []
    with _opened(os.path.join(spool, "reports"), _NO_LINK) as reports:
        names = os.listdir(reports)
        start = time.monotonic_ns() % max(len(names), 1)
        for at in range(min(limit, len(names))):
            job = names[(start + at) % len(names)]
            if not _digits(job):
                continue
            with tolerate(OSError):
                written = os.stat(job, dir_fd=reports, follow_symlinks=False).st_mtime
                if written < before and job not in keep:
                    old.append((written, job))
        old.sort()
        for written, job in old:
            if written >= old[0][0] + DAY_S:
                break
            with tolerate(OSError):  # a hook of that job may be writing; the next health check tries again
                _remove(reports, job)
                removed += 1
    return Pruned(removed, len(names))


def job_folder(report: Mapping[str, Any]) -> str:
    """Return the directory name for a report: the job's id, or "node"; raises OSError for a bad id."""
    job = report.get("job")
    if job is None:
        return "node"
    name = str(job["id"])
    if not _digits(name):
        raise OSError(22, f"not a job id: {name[:40]!r}", "report.job.id")
    return name


def file_name(report: Mapping[str, Any]) -> str:
    """Return a report's file name; raises OSError where node or phase could leave the directory."""
    node, phase = _node(report["node"]), report["phase"]
    if phase not in PHASES:
        raise OSError(22, f"not a phase: {str(phase)[:40]!r}", "report.phase")
    if report.get("job") is not None:
        return f"{node}.{run_of(report)}.{phase}.json"
    compact = "".join(letter for letter in report["started"][:19] if letter not in "-:")
    if not compact.replace("T", "").isalnum():
        raise OSError(22, f"not a time: {compact[:40]!r}", "report.started")
    return f"{node}.{compact}Z.{phase}.json"


def encode(report: Mapping[str, Any]) -> bytes:
    """Return the report as one line of ASCII JSON, at most MAX_BYTES: past that its facts are left out."""
    data = _dump(report)
    if len(data) > MAX_BYTES:
        reason = f"left out: the report would be larger than {MAX_BYTES >> 20} MiB"
        data = _dump({**report, "facts": {}, "unknown": {"facts": reason}})
    if len(data) > MAX_BYTES:
        raise OSError(27, f"the report is larger than {MAX_BYTES >> 20} MiB without its facts", str(report["node"]))
    return data


def replace(
    place: int, name: str, data: bytes, mode: int, owner: tuple[int, int] | None = None, durable: bool = False
) -> None:
    """Write ``name`` in the open directory ``place``: a new temporary file, then rename. Raises OSError.

    Without ``durable`` no fsync: it can take a second on a busy disk, and what it saves from is a power cut, not a
    crash of ours.
    """
    temporary = f".{name}.{os.getpid()}.tmp"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINK
    try:
        file = os.open(temporary, flags, 0o600, dir_fd=place)
    except FileExistsError:  # left by an earlier process with our pid; nobody else may write here
        os.unlink(temporary, dir_fd=place)
        file = os.open(temporary, flags, 0o600, dir_fd=place)
    try:
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(file, rest) :]
            if owner is not None:
                os.fchown(file, *owner)
            os.fchmod(file, mode)
            if durable:
                os.fsync(file)
        finally:
            os.close(file)  # NFS and full quotas report their errors here
        os.rename(temporary, name, src_dir_fd=place, dst_dir_fd=place)
        if durable:
            os.fsync(place)
    except OSError:
        os.unlink(temporary, dir_fd=place)
        raise


class _Opened:
    """An open directory for a with block."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def __enter__(self) -> int:
        return self._descriptor

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)


def _opened(path: str, flags: int = 0) -> _Opened:
    return _Opened(os.open(path, os.O_RDONLY | _DIRECTORY | flags))


def _folder(top: int, name: str, mode: int) -> _Opened:
    """Open the directory ``name`` below ``top``, made with ``mode`` where it is missing; raises OSError."""
    made = True
    try:
        os.mkdir(name, 0o700, dir_fd=top)
    except FileExistsError:
        made = False
    descriptor = os.open(name, os.O_RDONLY | _DIRECTORY | _NO_LINK, dir_fd=top)
    try:
        _require_ours(descriptor, name)
        if made:
            os.fchmod(descriptor, mode)  # mkdir's mode passes through the umask
    except OSError:
        os.close(descriptor)
        raise
    return _Opened(descriptor)


def _require_ours(descriptor: int, name: str) -> None:
    info = os.fstat(descriptor)
    if info.st_uid != os.geteuid():
        raise OSError(1, f"belongs to uid {info.st_uid}, not to us: left alone", name)
    if info.st_mode & 0o022:
        raise OSError(1, "others may write to it: left alone (chmod go-w)", name)


def _require_private(descriptor: int, path: str) -> None:
    info = os.fstat(descriptor)
    if info.st_uid != os.geteuid() or info.st_mode & 0o022:
        raise OSError(1, "the spool must be ours and writable by nobody else (chown root, chmod 0700)", path)


def _read(place: int, name: str) -> Report | None:
    descriptor = os.open(name, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | _NO_LINK, dir_fd=place)
    with open(descriptor, "rb") as file:
        info = os.fstat(descriptor)
        if info.st_uid != os.geteuid() or info.st_size > MAX_BYTES or info.st_mode & 0o170000 != 0o100000:
            return None
        try:
            report = jsonio.loads(file.read(MAX_BYTES))
        except ValueError:
            return None
    return report if _has_the_form(report) else None


def _has_the_form(report: Any) -> bool:
    """Return whether what was read has a report's outermost form; a torn or strange file has not."""
    if not isinstance(report, dict) or report.get("format") != FORMAT or not isinstance(report.get("facts"), dict):
        return False
    return report.get("job") is None or isinstance(report["job"], dict)


def _runs(names: list[str], node: str, phase: str) -> Iterator[int]:
    start, end = f"{node}.", f".{phase}.json"
    for name in names:
        run = name[len(start) : -len(end)] if name.startswith(f"{node}.") and name.endswith(end) else ""
        if _digits(run):
            yield int(run)


def _keep_latest(place: int, node: str, written: str, keep: int) -> None:
    """Remove all but ``keep`` of the node's reports, ``written`` being the latest whatever the clock said before."""
    mine = sorted(name for name in os.listdir(place) if name.startswith(f"{node}.") and name.endswith(".json"))
    # The time in the name sorts as text. What is later than now was written before the clock was set back.
    order = [name for name in mine if name > written] + [name for name in mine if name <= written]
    for name in order[: -max(keep, 1)]:
        os.unlink(name, dir_fd=place)


def _remove(reports: int, job: str) -> None:
    with _folder(reports, job, 0o700) as place:
        for name in os.listdir(place):
            os.unlink(name, dir_fd=place)
    os.rmdir(job, dir_fd=reports)


def _node(name: object) -> str:
    if not isinstance(name, str) or not 0 < len(name) <= 200 or name.startswith(".") or not name.isprintable():
        raise OSError(22, f"not a node name: {str(name)[:40]!r}", "report.node")
    if "/" in name or "\\" in name:
        raise OSError(22, f"not a node name: {name[:40]!r}", "report.node")
    return name


def _digits(name: str) -> bool:
    return is_whole(name, 20)


def _dump(report: Mapping[str, Any]) -> bytes:
    try:
        text = jsonio.dumps(report, str)
    except ValueError:  # NaN or infinity is no JSON
        text = jsonio.dumps(_finite(report), str)
    return text.encode("ascii") + b"\n"


def _finite(value: Any) -> Any:
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(one) for one in value]
    return value
