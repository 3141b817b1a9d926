"""Reports that wait to be shipped: links to root's records, numbered in the order in which they were written.

    <spool>/ship/000000000042.json     a link to the record; the number is the order
    <spool>/ship/.next                 where to look for the next free number; a hint, it may be wrong
    <spool>/ship/.dropped              how many went unsent because the queue was full

A link costs no second copy, and the record may be pruned meanwhile. On the hook's path, so it imports nothing heavy.
"""

from __future__ import annotations

import os

from preflight.digits import is_whole
from preflight.files import read_json, tolerate

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterator

DIRECTORY = "ship"
MAX_REPORTS = 20_000
MAX_BYTES = 256 << 20
_NEXT, _DROPPED = ".next", ".dropped"
LOOKED_AT = 2000
WIDTH = 12  # digits of a number
_TRIES = 64  # numbers that others may have taken since the hint was written


def enqueue(spool: str, record: str) -> str:
    """Queue the record at path ``record`` for shipping and return the path in the queue; raises OSError.

    Two hooks at once take two numbers: a link to a name that exists fails, and the next is tried.
    """
    directory = f"{spool}/{DIRECTORY}"
    with tolerate(FileExistsError):
        os.mkdir(directory, 0o700)
    number = max(_read_number(f"{directory}/{_NEXT}"), 1)
    for attempt in range(_TRIES * 2):
        if attempt == _TRIES:  # the hint is far off: a disk that was copied back, say
            number = max((one for one, _ in _numbers(directory)), default=0) + 1
        path = f"{directory}/{number:0{WIDTH}d}.json"
        try:
            os.link(record, path)
        except FileExistsError:
            number += 1
            continue
        _write_number(f"{directory}/{_NEXT}", number + 1)
        return path
    raise OSError(17, "no free number", directory)


def withdraw(spool: str, record: str) -> None:
    """Remove the links to the file at path ``record``, which is to be replaced; raises OSError."""
    directory = f"{spool}/{DIRECTORY}"
    if not os.path.isdir(directory):
        return
    own = os.stat(record)
    for _, name in _numbers(directory):
        with tolerate(FileNotFoundError):  # sent meanwhile
            if os.path.samestat(own, os.stat(f"{directory}/{name}")):
                os.unlink(f"{directory}/{name}")


def waiting(spool: str) -> list[str]:
    """Return the paths of the queue's reports, the oldest first; raises OSError where it cannot be read."""
    directory = f"{spool}/{DIRECTORY}"
    if not os.path.isdir(directory):
        return []
    return [f"{directory}/{name}" for _, name in sorted(_numbers(directory))]


def bound(spool: str, reports: int = MAX_REPORTS, size: int = MAX_BYTES) -> int:
    """Drop what is more than ``reports`` files or ``size`` bytes and return how many went, adding them to the count.

    Of the oldest LOOKED_AT the reports of healthy runs (ready) go first; where those are not enough, the oldest.
    """
    paths = waiting(spool)
    over, heavy = len(paths) - reports, sum(map(_size, paths)) - size
    if over <= 0 and heavy <= 0:
        return 0
    oldest = paths[:LOOKED_AT]
    healthy = [path for path in oldest if _is_ready(path)]
    rest = set(healthy)
    dropped = 0
    for path in (*healthy, *(path for path in oldest if path not in rest)):
        if over <= 0 and heavy <= 0:
            break
        with tolerate(OSError):
            weight = _size(path)
            os.unlink(path)
            over, heavy, dropped = over - 1, heavy - weight, dropped + 1
    _write_number(f"{spool}/{DIRECTORY}/{_DROPPED}", dropped_so_far(spool) + dropped)
    return dropped


def dropped_so_far(spool: str) -> int:
    """Return how many reports of this node went unsent because the queue was full."""
    return _read_number(f"{spool}/{DIRECTORY}/{_DROPPED}")


def _numbers(directory: str) -> Iterator[tuple[int, str]]:
    for name in os.listdir(directory):
        digits, _, kind = name.partition(".")
        if kind == "json" and len(digits) == WIDTH and is_whole(digits):
            yield int(digits), name


def _is_ready(path: str) -> bool:
    report = read_json(path)
    return isinstance(report, dict) and report.get("verdict") == "ready"


def _size(path: str) -> int:
    with tolerate(OSError):
        return os.stat(path, follow_symlinks=False).st_size
    return 0


def _read_number(path: str) -> int:
    with tolerate(OSError), open(path, "rb") as file:
        digits = file.read(WIDTH + 2).decode("ascii", "replace").strip()
        return int(digits) if is_whole(digits, WIDTH) else 0
    return 0


def _write_number(path: str, number: int) -> None:
    with tolerate(OSError), open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(b"%d" % number)
