"""Where the kernel's log is read: /dev/kmsg, never waiting, from where the last read ended; or what the journal kept.

A read of /dev/kmsg gives one record, and none can be skipped but by reading it; so those that an earlier run has seen
are counted off without looking at them. Beneath another root /dev/kmsg may be a file or a pipe with such records, one a
line.
"""

from __future__ import annotations

import errno
import os
import time

from preflight.digits import is_whole
from preflight.facts.rootfs import Root
from preflight.tuples import NamedTuple

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterator

KMSG = "/dev/kmsg"
RECORD_BYTES = 8192  # the longest that the kernel gives (PRINTK_MESSAGE_MAX and its dictionary)
FILE_BYTES = 4 << 20  # of a file that stands for the log, its end
EACH = 64  # records between two looks at the clock
KMSG_DEVICE = os.makedev(1, 11) if hasattr(os, "makedev") else -1
PIPE_S = 0.05  # for a writer that waits for the pipe to be opened
_REGULAR, _PIPE, _DEVICE = 0o100000, 0o010000, 0o020000


class Place(NamedTuple):
    """The opened log: ``kind`` "device", "file" or "pipe"; of a file ``size`` and how it begins (``identity``)."""

    descriptor: int
    kind: str
    identity: str = ""
    size: int = 0


def open_log(root: Root) -> Place | None:
    """Return the log beneath ``root``, None where there is none; raises OSError where it cannot be opened."""
    real = KMSG if root.own else root.resolve(KMSG)
    if real is None:
        return None
    path = real if root.own else root.path + real
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOCTTY", 0)
    try:
        descriptor = os.open(path, flags | (0 if root.own else getattr(os, "O_NOFOLLOW", 0)))
    except FileNotFoundError:
        return None
    info = os.fstat(descriptor)
    form = info.st_mode & 0o170000
    if form == _DEVICE and info.st_rdev == KMSG_DEVICE:
        return Place(descriptor, "device")
    if form == _REGULAR:
        return Place(descriptor, "file", f"{info.st_ino}:{os.pread(descriptor, 64, 0).hex()}", info.st_size)
    if form == _PIPE:
        return Place(descriptor, "pipe")
    os.close(descriptor)
    raise OSError(errno.EINVAL, "not the kernel's log", KMSG)


class Chunks:
    """The records of an opened log, raw. ``complete`` is False where the time or the bytes ran out first.

    ``seq``: number of the last record that an earlier run has read, -1 for none. ``offset``: of a file, the bytes read
    before. ``lost``: how many records the kernel overwrote unread.
    """

    def __init__(self, place: Place, seq: int, offset: int, budget_s: float) -> None:
        self._place, self._seq = place, seq
        self.offset, self.lost, self.complete = offset, 0, True
        self._until = time.monotonic() + budget_s
        self._overrun = False

    def __iter__(self) -> Iterator[bytes]:
        if self._place.kind == "device":
            return self._device()
        return self._lines(self._file() if self._place.kind == "file" else self._pipe())

    def _late(self) -> bool:
        if time.monotonic() < self._until:
            return False
        self.complete = False
        return True

    def _device(self) -> Iterator[bytes]:
        data = self._record()
        if data is None:
            return
        known = self._seq - self._first(data)  # after the first one
        while known > 0 and not self._overrun:
            for _ in range(min(known, EACH)):
                data = self._record()
                if data is None:
                    return
                if self._overrun:
                    break
            known -= EACH
            if known > 0 and self._late():
                return
        while data is not None:
            if _sequence(data) > self._seq:
                yield data
                break
            data = self._record()
        while data is not None:
            for _ in range(EACH):
                data = self._record()
                if data is None:
                    return
                yield data
            if self._late():
                return

    def _first(self, data: bytes) -> int:
        """Return the number of the oldest record there is, and count those that are gone unread."""
        oldest = _sequence(data)
        if self._seq >= 0:
            self.lost += max(0, oldest - self._seq - 1)
        return oldest

    def _record(self) -> bytes | None:
        """Return the next record, None at the log's end."""
        while True:
            try:
                return os.read(self._place.descriptor, RECORD_BYTES)
            except BlockingIOError:
                return None
            except OSError as error:
                if error.errno == errno.EPIPE:
                    self._overrun = True  # the kernel overwrote what came next; it goes on with the oldest one left
                elif error.errno != errno.EINVAL:  # that is one longer than any should be: it is passed
                    raise

    def _file(self) -> Iterator[bytes]:
        if self.offset > self._place.size:
            self.offset = 0  # it was begun anew
        self.offset = max(self.offset, self._place.size - FILE_BYTES)
        while True:
            data = os.pread(self._place.descriptor, 65536, self.offset)
            if not data:
                return
            self.offset += len(data)
            yield data
            if self._late():
                return

    def _pipe(self) -> Iterator[bytes]:
        from select import POLLIN, poll

        waiter = poll()
        waiter.register(self._place.descriptor, POLLIN)
        total = 0
        limit = time.monotonic() + PIPE_S
        while total < FILE_BYTES:
            waiter.poll(max(0.0, (limit - time.monotonic()) * 1000))
            try:
                data = os.read(self._place.descriptor, 65536)
            except BlockingIOError:
                data = b""
            if data:
                total += len(data)
                yield data
            elif time.monotonic() >= limit:
                return
            else:
                time.sleep(0.005)
            if self._late():
                return

    def _lines(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """Yield line by line; the dictionary's lines, which begin with a blank, belong to the record before."""
        rest = b""
        for piece in pieces:
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                if line and not line.startswith(b" "):
                    yield line
        if rest and self._place.kind == "file":
            self.offset -= len(rest)  # a record that is not written to its end is read the next time
        elif rest:
            yield rest


def _sequence(data: bytes) -> int:
    number = data.split(b",", 2)[1:2]
    return int(number[0]) if number and is_whole(number[0]) else 0
