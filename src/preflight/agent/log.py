"""Has the kernel's log anything new? Asked before each answer, at the cost of one read that finds nothing.

The log's facts come from where a hook's come from (facts/kernel_log.py): what all of them have found of it stands in
one file, which epilogs and health checks write too."""

from __future__ import annotations

import os

from preflight.facts.kmsg.source import RECORD_BYTES, open_log
from preflight.facts.rootfs import Root


class LogWatch:
    """This node's /dev/kmsg, held open at its end; of a file or pipe that stands for it every look says yes."""

    def __init__(self, root: Root) -> None:
        self._root = root
        self._descriptor = -1
        self._history: tuple[int, ...] = ()
        source = root.source
        self._path = f"{source.run_dir}/kernel-log-{source.node}.json"

    def changed(self) -> bool:
        """Return whether the log, or what is remembered of it, may be another than at the last call; never waits."""
        history = self._identity()
        same = history == self._history
        self._history = history
        if self._descriptor < 0:
            self._open()
            return True
        return self._new() or not same

    def _open(self) -> None:
        try:
            place = open_log(self._root)
        except OSError:
            return
        if place is None:
            return
        if place.kind != "device":
            os.close(place.descriptor)
            return
        os.lseek(place.descriptor, 0, os.SEEK_END)
        self._descriptor = place.descriptor

    def _new(self) -> bool:
        new = False
        while True:
            try:
                os.read(self._descriptor, RECORD_BYTES)
            except BlockingIOError:
                return new
            except OSError:  # overwritten before it was read, or too long
                new = True
                continue
            new = True

    def _identity(self) -> tuple[int, ...]:
        try:
            info = os.stat(self._path)
        except OSError:
            return ()
        return info.st_ino, info.st_size, info.st_mtime_ns
