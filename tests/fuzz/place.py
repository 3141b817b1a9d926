"""A directory for readers that take a path: in memory where there is /dev/shm, one a process, removed at its end."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

_MADE: dict[str, Path] = {}


def place(name: str) -> Path:
    """Return this process's directory of that name."""
    if name not in _MADE:
        memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        _MADE[name] = Path(tempfile.mkdtemp(prefix=f"preflight-fuzz-{name}-", dir=memory))
        atexit.register(shutil.rmtree, _MADE[name], ignore_errors=True)
    return _MADE[name]


def clear() -> None:
    """Remove the directories: `os._exit` runs no atexit."""
    for one in _MADE.values():
        shutil.rmtree(one, ignore_errors=True)


def write(path: Path, data: bytes) -> Path:
    """Write a file and return its path."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, data)
    finally:
        os.close(descriptor)
    return path
