"""What a probe child tells its parent: memory that both see.

A child announces hundreds of calls; through a pipe each would be two system calls and a wake-up of the parent. What is
written here stays when the child is killed in the middle of a call.
"""

from __future__ import annotations

import os
import sys

MAX_BYTES = 16 << 20
_LENGTH = 8  # bytes at the front that say how much follows; written after what they count


class Board:
    """One child's board, made by the parent before it forks. Pages that are never written take no memory.

    ``shared``: a later run may read it as long as the child lives, by way of ``descriptor``, a file without a name that
    the child keeps open; None where this Python or system has no memfd_create.
    """

    def __init__(self, shared: bool = False) -> None:
        import mmap

        self.descriptor: int | None = None
        if shared and hasattr(os, "memfd_create"):
            try:
                self.descriptor = _above_three(os.memfd_create("preflight"))
                os.ftruncate(self.descriptor, MAX_BYTES)
            except OSError:
                self.close()
        self._memory = mmap.mmap(-1 if self.descriptor is None else self.descriptor, MAX_BYTES)
        self._end = _LENGTH

    def close(self) -> None:
        """Close the descriptor on this side; what was written stays readable here."""
        if self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor = None

    def write(self, data: bytes) -> None:
        """Append ``data``; raises OSError where the board is full."""
        end = self._end + len(data)
        if end > MAX_BYTES:
            raise OSError(27, f"a probe told more than {MAX_BYTES >> 20} MiB")
        self._memory[self._end : end] = data
        self._memory[:_LENGTH] = (end - _LENGTH).to_bytes(_LENGTH, sys.byteorder)
        self._end = end

    def read(self) -> bytes:
        """Return all that was written so far, by either side of the fork."""
        length = int.from_bytes(self._memory[:_LENGTH], sys.byteorder)
        return self._memory[_LENGTH : _LENGTH + length]


def read_of(pid: int, descriptor: int) -> bytes | None:
    """Return what the process ``pid`` has on the board that it holds as ``descriptor``, None where it can't be read."""
    try:
        opened = os.open(f"/proc/{pid}/fd/{descriptor}", os.O_RDONLY)
    except OSError:
        return None
    try:
        length = int.from_bytes(os.pread(opened, _LENGTH, 0), sys.byteorder)
        return os.pread(opened, min(length, MAX_BYTES), _LENGTH)
    except OSError:
        return None
    finally:
        os.close(opened)


def _above_three(descriptor: int) -> int:
    """Return the descriptor, or a copy of it where its number is one that a child gives to something else."""
    if descriptor > 3:
        return descriptor
    import fcntl

    copy = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 4)
    os.close(descriptor)
    return copy
