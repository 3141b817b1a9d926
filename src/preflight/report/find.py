"""Finding the reports of one job among the places where they may lie.

Root reads only what nobody else can write: the user's copies, which belong to the user, are left out.
"""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterator
from typing import Any, NamedTuple

from preflight.digits import is_whole
from preflight.report.clean import clean
from preflight.report.found import Entry, Found, Keep, Report, entry_of, in_order, latest_of, whole
from preflight.report.validate import MAX_BYTES, ReportError, load

MAX_FILES = 50_000  # of one job: 10 000 nodes, two phases and a requeue or two
MAX_OWNERS = 16  # users whose copies of one job are looked at
MAX_JOBS = 5_000  # directories looked into for the tasks of an array
_FLAGS = os.O_RDONLY
for _flag in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"):  # not all of them everywhere
    _FLAGS |= getattr(os, _flag, 0)


class ReportPlaces(NamedTuple):
    """Where reports are looked for: root's spool, the users' directory, more directories or globs, a fleet store."""

    spool: str = ""
    dir: str = ""
    search: tuple[str, ...] = ()
    store: str = ""


class Wanted(NamedTuple):
    """A job as its user writes it: 123, or task 4 of array 123 as 123_4.

    ``alone``: that very job number, no other task of an array that may have it.
    """

    job: int
    task: int | None = None
    alone: bool = False

    def __str__(self) -> str:
        return str(self.job) if self.task is None else f"{self.job}_{self.task}"


class _Tally:
    """What was left out, counted."""

    def __init__(self) -> None:
        self.copies = self.unreadable = self.beside = 0
        self.owners: set[int] = set()
        self.broken: list[str] = []
        self.foreign: list[str] = []
        self.cut = False


def parse_job(text: str) -> Wanted:
    """Return the job that ``text`` names; raises ValueError with one line."""
    job, underscore, task = text.strip().partition("_")
    parts = [job, task] if underscore else [job]
    if not all(is_whole(part, 11) for part in parts) or not int(job):
        raise ValueError(f"not a job id: {text[:40]!r}; write 123, or 123_4 for task 4 of an array")
    return Wanted(int(job), int(task) if underscore else None)


def find(places: ReportPlaces, wanted: Wanted, euid: int | None = None, keep: Keep = whole) -> Found:
    """Return the reports of a job; never raises OSError, other than ``keep`` does.

    An array's number gives the reports of all its tasks. ``euid`` is that of this process where it is None.
    """
    effective = _euid() if euid is None else euid
    roots = _roots(places, effective)
    spool = os.path.normpath(os.path.join(places.spool, "reports")) if places.spool and effective == 0 else ""
    tally = _Tally()
    latest: dict[tuple[Any, ...], Entry] = {}
    on_record: set[tuple[str, int]] = set()
    for root in sorted(roots, key=lambda root: root != spool):  # the record of truth first
        for entry in _in_root(root, wanted, effective, tally, keep):
            head = entry.head
            if root == spool:
                on_record.add((head.node, head.job))
            elif (head.node, head.job) in on_record:
                tally.beside += head.same not in latest or latest[head.same].head.id != head.id
                continue  # whatever a file server says of this node's own runs
            latest_of(latest, entry)
    return Found(
        in_order(latest.values()), roots, _notes(tally, wanted), tuple(sorted(tally.owners - {0})[:MAX_OWNERS])
    )


def _roots(places: ReportPlaces, euid: int) -> list[str]:
    """Return the directories that hold one directory a job, each once."""
    roots = [os.path.join(places.spool, "reports")] if places.spool and euid == 0 else []
    roots += [places.dir] if places.dir else []
    for pattern in places.search:
        # Sorted, so that the same files give the same report.
        roots += sorted(glob.glob(pattern)) if glob.has_magic(pattern) else [pattern]
    return list(dict.fromkeys(os.path.normpath(root) for root in roots))


def _in_root(root: str, wanted: Wanted, euid: int, tally: _Tally, keep: Keep) -> Iterator[Entry]:
    if euid == 0 and (os.path.islink(root) or not _roots_own(root)):
        tally.foreign.append(root)
        return
    # The last task of an array has the array's own number as its job id.
    array, any_here = wanted.task is not None, False
    for report, raw in _in_job(os.path.join(root, str(wanted.job)), wanted.job, euid, tally):
        array, any_here = array or bool(report["job"]["array_job_id"]), True
        if wanted.alone or _is_wanted(report, wanted):
            yield entry_of(report, raw, keep)
    if wanted.alone or not (array or not any_here):
        return
    for job in _later_jobs(root, wanted.job, tally):
        folder = os.path.join(root, str(job))
        first = next(_in_job(folder, job, euid, _Tally()), None)
        if first is not None and _is_wanted(first[0], wanted):
            for report, raw in _in_job(folder, job, euid, tally):
                if _is_wanted(report, wanted):
                    yield entry_of(report, raw, keep)


def _is_wanted(report: Report, wanted: Wanted) -> bool:
    job = report["job"]
    if wanted.task is not None:
        return bool(job["array_job_id"] == wanted.job and job["array_task_id"] == wanted.task)
    return wanted.job in (job["id"], job["array_job_id"])


def _later_jobs(root: str, job: int, tally: _Tally) -> list[int]:
    """Return the job ids beneath ``root`` from ``job`` on: a task's id is never below its array's."""
    try:
        names = os.listdir(root)
    except OSError:
        return []
    ids = sorted(int(name) for name in names if is_whole(name, 11))
    later = [one for one in ids if one > job]
    tally.cut = tally.cut or len(later) > MAX_JOBS
    return later[:MAX_JOBS]


def _in_job(folder: str, job: int, euid: int, tally: _Tally) -> Iterator[tuple[Report, bytes]]:
    """Yield the reports about ``job`` in one directory, each with its bytes."""
    try:
        descriptor = _open_folder(folder)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError:
        tally.unreadable += 1
        return
    try:
        # By descriptor, so that the directory that was judged is the one that is read.
        names = sorted(os.listdir(folder if descriptor is None else descriptor))
        mine = [name for name in names if name.endswith(".json") and not name.startswith(".")]
        if euid == 0 and descriptor is not None and not _only_root(os.fstat(descriptor), stat.S_ISDIR):
            tally.copies += len(mine)
            tally.owners |= {_owner(name, descriptor) for name in mine[:MAX_OWNERS]}
            return
        for name in mine[:MAX_FILES]:
            found = _one(folder, name, descriptor, euid, tally)
            if found is not None and (found[0]["job"] is None or found[0]["job"]["id"] != job):
                tally.broken.append(f"{clean(name, 80)}: not about job {job}")
            elif found is not None:
                yield found
    except OSError:
        tally.unreadable += 1
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _open_folder(folder: str) -> int | None:
    """Open a directory that is no link; None where the system opens files by path only (Windows)."""
    if os.open not in os.supports_dir_fd:
        return None
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)


def _one(folder: str, name: str, place: int | None, euid: int, tally: _Tally) -> tuple[Report, bytes] | None:
    try:
        descriptor = os.open(os.path.join(folder, name) if place is None else name, _FLAGS, dir_fd=place)
        with open(descriptor, "rb", buffering=0) as file:
            info = os.fstat(descriptor)
            if not stat.S_ISREG(info.st_mode):
                tally.unreadable += 1
                return None
            if euid == 0 and not (_only_root(info, stat.S_ISREG) and _in_the_same_mount(descriptor, place)):
                tally.copies += 1
                tally.owners.add(info.st_uid)
                return None
            raw = file.read(min(info.st_size, MAX_BYTES) + 1) or b""
            while 0 < len(raw) <= MAX_BYTES and (more := file.read(MAX_BYTES + 1 - len(raw))):
                raw += more  # it grew, or its size is not told
            return load(raw), raw
    except OSError:
        tally.unreadable += 1
    except ReportError as error:
        tally.broken.append(f"{clean(name, 80)}: {error}")
    return None


def _owner(name: str, place: int) -> int:
    try:
        return os.stat(name, dir_fd=place, follow_symlinks=False).st_uid
    except OSError:
        return 0


def _roots_own(root: str) -> bool:
    """Tell whether a place is root's; one that is missing is."""
    try:
        return os.lstat(root).st_uid == 0
    except OSError:
        return True


def _in_the_same_mount(file: int, place: int | None) -> bool:
    """Tell whether a file is on its directory's own mount: nothing else is mounted over it.

    Devices do not tell it alone: on an overlay, which a stateless node's root may be, a file's st_dev can be of a layer
    (the kernel's Documentation/filesystems/overlayfs.rst).
    """
    if place is None or os.fstat(file).st_dev == os.fstat(place).st_dev:
        return True
    mounts = (_mount_of(file), _mount_of(place))
    return mounts[0] != "" and mounts[0] == mounts[1]


def _mount_of(descriptor: int) -> str:
    """Return the number of the mount that an open file is on, as proc(5) has it in fdinfo; "" where it is not told."""
    try:
        with open(f"/proc/self/fdinfo/{descriptor}", encoding="ascii") as file:
            return next((line for line in file if line.startswith("mnt_id:")), "")
    except (OSError, ValueError):
        return ""


def _only_root(info: os.stat_result, kind: Any) -> bool:
    return bool(kind(info.st_mode)) and info.st_uid == 0 and not info.st_mode & 0o022


def _notes(tally: _Tally, wanted: Wanted) -> list[str]:
    notes = []
    if tally.copies:
        run = f"sudo -u USER preflight report {wanted}"
        notes.append(f"{_many(tally.copies)} in users' copies left out: run as the job's user, e.g. {run}")
    if tally.foreign:
        places = ", ".join(clean(place, 80) for place in tally.foreign[:3])
        notes.append(f"not looked in, since it is not root's or is a link: {places}; run as the job's user")
    if tally.beside:
        notes.append(f"{_many(tally.beside)} beside this node's own record left out: the spool has it otherwise")
    if tally.unreadable:
        notes.append(f"{_many(tally.unreadable)} left out: not readable by you; ask the job's owner or an admin")
    if tally.broken:
        more = f" (and {len(tally.broken) - 1} more)" if len(tally.broken) > 1 else ""
        notes.append(f"left out, not a report of this job: {tally.broken[0]}{more}")
    if tally.cut:
        notes.append(f"looked for array tasks in {MAX_JOBS} job directories only: name the task's own job id")
    return notes


def _many(count: int) -> str:
    return "1 report" if count == 1 else f"{count} reports"


def _euid() -> int:
    geteuid = getattr(os, "geteuid", None)  # Windows has none
    return -1 if geteuid is None else int(geteuid())
