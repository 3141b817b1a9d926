"""Static facts kept between runs, one file a subject, valid as long as what they were read from stays the same.

The key holds the boot id, the package version and the probe's parameters; beside it stands the identity (inode, size,
mtime_ns) of every path that the probe touched, absent ones too, by directory. Checking costs a stat call a path. A
cache that is missing, corrupt, somebody else's or out of date is collected again; one that can't be written costs only
time. An answer that was cut short, as by a file system that is slow after the boot, is kept for a while only.
"""

from __future__ import annotations

import time

from preflight import __version__
from preflight.facts.answer import Answer
from preflight.facts.identities import by_directory, unchanged
from preflight.facts.rootfs import Identity, Root
from preflight.files import read_json, tolerate, write_json

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

BOOT_ID = "/proc/sys/kernel/random/boot_id"
MAX_PATHS = 50_000
MAX_BYTES = 12 << 20  # of one subject's file: MAX_PATHS with long names
# A change within one tick of the clock after collecting leaves mtime as it was; so young an entry is not kept.
TICK_NS = 20_000_000


def cached(
    directory: str | None, subject: str, root: Root, parameters: list[Any], read: Callable[[Root], Answer]
) -> Answer:
    """Return ``read(root)``, or what it gave before when nothing it touched has changed since.

    ``directory`` is root's own (0700); None switches the cache off. Answers with unknown parts are not kept, nor
    those that came from no file: nothing would show that they are out of date.
    """
    if directory is None:
        return read(root)
    place = f"{directory}/facts-{subject}.json"
    key = [__version__, boot_id(), root.path, root.live, parameters]
    kept = _valid(read_json(place, MAX_BYTES), key, root)
    if kept is not None:
        return kept
    started = time.time_ns()
    root.watch()
    try:
        answer = read(root)
    finally:
        root.watching = False
    if root.seen and not answer.unknown and len(root.seen) <= MAX_PATHS and _older(root.seen, started - TICK_NS):
        entry: dict[str, Any] = {"key": key, "seen": by_directory(root.seen), "values": answer.values}
        if answer.keep_s is not None:
            entry["until"] = _up() + answer.keep_s
        with tolerate(OSError):
            write_json(place, entry, limit=MAX_BYTES)
    return answer


def _older(seen: dict[str, Identity | None], than_ns: int) -> bool:
    return all(one is None or one[2] <= than_ns for one in seen.values())


def boot_id() -> str:
    """Return the running system's boot id, "" where it has none."""
    try:
        return (Root().read_text(BOOT_ID, 256) or "").strip()
    except OSError:
        return ""


def _up() -> float:
    """Return seconds since the boot: no clock that is set moves it."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _valid(stored: Any, key: list[Any], root: Root) -> Answer | None:
    if not isinstance(stored, dict) or stored.get("key") != key:
        return None
    seen, values, until = stored.get("seen"), stored.get("values"), stored.get("until")
    if not isinstance(seen, dict) or not isinstance(values, dict):
        return None
    if until is not None and not (isinstance(until, (int, float)) and _up() < until):
        return None
    try:
        return Answer(values) if unchanged(root, seen) else None
    except (OSError, TypeError, AttributeError):  # a path that cannot be read, or no cache of this form
        return None
