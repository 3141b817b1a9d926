"""What a probe child tells its parent: memory that both see.

A child announces hundreds of calls; through a pipe each would be two system calls and a wake-up of the parent. What is
written here stays when the child is killed in the middle of a call.
"""

from __future__ import annotations

import mmap
import sys

MAX_BYTES = 16 << 20
_LENGTH = 8  # bytes at the front that say how much follows; written after what they count


class Board:
    """One child's board, made by the parent before it forks. Pages that are never written take no memory."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, MAX_BYTES)
        self._end = _LENGTH

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
