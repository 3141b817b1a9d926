"""A file system that fails: a directory seen through FUSE, whose server hangs, is slow, lies or dies at an operation.

    python -m campaign.faulty_fs BACKING MOUNTPOINT WATCH RULE

RULE is JSON: {"ops": ["read"], "glob": "*", "nth": 1, "mode": "hang", "argument": 0}; nth 0 befalls every call. It
counts from when the file WATCH/armed is there, and each call that it befalls is a line of WATCH/hit. Modes:

    errno     fails with that errno                  hang      is never answered
    slow      is answered so many milliseconds late  dies      the server ends: all fails from then on
    short     half of what was asked, or given       garbage   other bytes than were written
    success   says that it is done, and is not       stalls    it and everything after it hang
"""

from __future__ import annotations

import errno
import fnmatch
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import mfusepy


class Faulty(mfusepy.Operations):  # type: ignore[misc]
    """The file system; paths are those below the mount point."""

    use_ns = True

    def __init__(self, backing: str, watch: str, rule: dict[str, Any]) -> None:
        self._backing, self._watch, self._rule = backing, watch, rule
        self._lock, self._seen, self._stalled = threading.Lock(), 0, False

    def _real(self, path: str) -> str:
        return self._backing + path

    def _befalls(self, op: str, path: str) -> str:
        """Return the mode that the caller has to see to, "" where the call goes its way; may never return."""
        rule = self._rule
        if self._stalled:
            threading.Event().wait()
        if op not in rule["ops"] or not fnmatch.fnmatch(path, rule["glob"]):
            return ""
        if not os.path.exists(f"{self._watch}/armed"):
            return ""
        with self._lock:
            self._seen += 1
            if rule["nth"] and self._seen != rule["nth"]:
                return ""
            with open(f"{self._watch}/hit", "a") as file:
                file.write(f"{op} {path}\n")
        mode = str(rule["mode"])
        if mode == "dies":
            os._exit(1)
        if mode in ("hang", "stalls"):
            self._stalled = mode == "stalls"
            threading.Event().wait()
        if mode == "slow":
            time.sleep(rule["argument"] / 1000)
            return ""
        if mode == "errno":
            raise mfusepy.FuseOSError(rule["argument"])
        return mode

    def getattr(self, path: str, fh: Any = None) -> dict[str, Any]:
        self._befalls("stat", path)
        info = os.lstat(self._real(path))
        keys = ("st_mode", "st_nlink", "st_uid", "st_gid", "st_size", "st_ino", "st_blocks")
        times = {f"st_{one}": getattr(info, f"st_{one}_ns") for one in ("atime", "mtime", "ctime")}
        return {**{key: getattr(info, key) for key in keys}, **times}

    def readdir(self, path: str, fh: Any) -> list[str]:
        mode = self._befalls("list", path)
        names = os.listdir(self._real(path))
        return [".", "..", *(names[: len(names) // 2] if mode == "short" else names)]

    def statfs(self, path: str) -> dict[str, int]:
        self._befalls("statfs", path)
        info = os.statvfs(self._real(path))
        keys = ("bavail", "bfree", "blocks", "bsize", "favail", "ffree", "files", "frsize", "namemax")
        return {f"f_{key}": getattr(info, f"f_{key}") for key in keys}

    def open(self, path: str, fi: Any) -> int:
        self._befalls("open", path)
        return self._opened(os.open(self._real(path), fi.flags & ~os.O_NOFOLLOW), fi)

    def create(self, path: str, mode: int, fi: Any) -> int:
        self._befalls("create", path)
        return self._opened(os.open(self._real(path), os.O_RDWR | os.O_CREAT | os.O_TRUNC, mode), fi)

    def _opened(self, descriptor: int, fi: Any) -> int:
        fi.fh = descriptor
        fi.direct_io = 1  # each read and write comes here as the hook makes it
        return 0

    def read(self, path: str, size: int, offset: int, fi: Any) -> bytes:
        mode = self._befalls("read", path)
        if mode == "short":
            size = max(1, size // 100)
        data = os.pread(fi.fh, size, offset)
        return bytes(one ^ 0x55 for one in data) if mode == "garbage" else data

    def write(self, path: str, data: bytes, offset: int, fi: Any) -> int:
        mode = self._befalls("write", path)
        if mode == "success":
            return len(data)
        if mode == "garbage":
            data = bytes(one ^ 0x55 for one in data)
        return os.pwrite(fi.fh, data[: max(1, len(data) // 2)] if mode == "short" else data, offset)

    def flush(self, path: str, fi: Any) -> int:
        self._befalls("close", path)
        return 0

    def release(self, path: str, fi: Any) -> int:
        os.close(fi.fh)
        return 0

    def fsync(self, path: str, datasync: int, fi: Any) -> int:
        self._befalls("fsync", path)
        return 0

    def truncate(self, path: str, length: int, fh: Any = None) -> int:
        self._befalls("truncate", path)
        os.truncate(self._real(path), length)
        return 0

    def rename(self, old: str, new: str) -> int:
        if self._befalls("rename", new) != "success":
            os.rename(self._real(old), self._real(new))
        return 0

    def unlink(self, path: str) -> int:
        if self._befalls("unlink", path) != "success":
            os.unlink(self._real(path))
        return 0

    def mkdir(self, path: str, mode: int) -> int:
        self._befalls("mkdir", path)
        os.mkdir(self._real(path), mode)
        return 0

    def rmdir(self, path: str) -> int:
        os.rmdir(self._real(path))
        return 0

    def chmod(self, path: str, mode: int) -> int:
        self._befalls("chmod", path)
        os.chmod(self._real(path), mode)
        return 0

    def chown(self, path: str, uid: int, gid: int) -> int:
        self._befalls("chown", path)
        os.lchown(self._real(path), uid, gid)
        return 0

    def utimens(self, path: str, times: Any = None) -> int:
        self._befalls("utime", path)
        os.utime(self._real(path), ns=times)
        return 0

    def access(self, path: str, amode: int) -> int:
        return 0

    def readlink(self, path: str) -> str:
        return os.readlink(self._real(path))

    def symlink(self, target: str, source: str) -> int:
        os.symlink(source, self._real(target))
        return 0


def main() -> int:
    """Serve until the mount ends."""
    backing, mount, watch, rule = sys.argv[1:]
    if not Path(backing).is_dir():
        return errno.ENOTDIR
    operations = Faulty(backing, watch, json.loads(rule))
    mfusepy.FUSE(operations, mount, raw_fi=True, foreground=True, allow_other=True, attr_timeout=0, entry_timeout=0)
    return 0


if __name__ == "__main__":
    sys.exit(main())
