"""Reports from a directory that nodes write and the collector sees: for sites without a collector on the network."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from typing import NamedTuple

from preflight.fleet.entry import MAX_BYTES, EntryReader, RefusedError
from preflight.fleet.store.interface import Refused, Store

BATCH = 500
HEAD = 200
Seen = dict[str, tuple[int, int, int]]


class Taken(NamedTuple):
    """``files`` looked at, ``new`` reports among them, ``refused`` that are none."""

    files: int
    new: int
    refused: int


def take(store: Store, directory: str, seen: Seen, now_ms: int) -> Taken:
    """Take every report below ``directory`` that is not in ``seen`` as it is now; raises StoreError or OSError.

    ``seen``: path -> inode, size and mtime of what was taken; it is brought up to date. Links are not followed, and
    what is no regular file is passed over.
    """
    reader = EntryReader()
    files = new = bad = 0
    for batch in _together(_files(directory, seen)):
        entries, refused = [], []
        for path, identity in batch:
            text = _read(path)
            if text is None:
                continue  # it went away: a record that was pruned
            files += 1
            try:
                entries.append(reader.read(text, now_ms))
            except RefusedError as error:
                refused.append(Refused(now_ms, directory, f"{path}: {error}", len(text), text[:HEAD]))
            seen[path] = identity
        if refused:
            store.refuse(refused)
        new += store.add(entries)
        bad += len(refused)
    return Taken(files, new, bad)


def _together(files: Iterator[tuple[str, tuple[int, int, int]]]) -> Iterator[list[tuple[str, tuple[int, int, int]]]]:
    batch = []
    for one in files:
        batch.append(one)
        if len(batch) >= BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _files(directory: str, seen: Seen) -> Iterator[tuple[str, tuple[int, int, int]]]:
    for folder, folders, names in os.walk(directory, onerror=_raise):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if name.endswith(".json") and not name.startswith("."):
                path = os.path.join(folder, name)
                try:
                    info = os.lstat(path)
                except OSError:
                    continue
                identity = (info.st_ino, info.st_size, info.st_mtime_ns)
                if stat.S_ISREG(info.st_mode) and seen.get(path) != identity:
                    yield path, identity


def _raise(error: OSError) -> None:
    raise error


def _read(path: str) -> bytes | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with open(descriptor, "rb") as file:
        return file.read(MAX_BYTES + 1)
