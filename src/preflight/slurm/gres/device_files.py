"""The device files of gres.conf: a File= as Slurm expands it, and what each file is."""

from __future__ import annotations

import os
import stat

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_BRACKETS = 8
MOST_CHARACTERS = 512  # of one path: each of its directories is looked at
MOST = 1024  # of one File=; no node has as many GPUs
NVIDIA_MAJOR = 195  # of /dev/nvidiaN (Linux: Documentation/admin-guide/devices.txt)
DIGITS = "0123456789"


def expand(text: str) -> tuple[str, ...]:
    """Return the paths of "/dev/nvidia[3,0-1],/dev/nvidia7" in the order written; raises ValueError."""
    found: list[str] = []
    for part in split(text):
        if part.count("[") > MOST_BRACKETS:
            raise ValueError(f"more than {MOST_BRACKETS} brackets in one name")
        for path in _product(part):
            if len(found) >= MOST:
                raise ValueError(f"more than {MOST} files")
            if len(path) > MOST_CHARACTERS:
                raise ValueError(f"a name of more than {MOST_CHARACTERS} characters")
            found.append(path)
    return tuple(found)


def split(text: str) -> list[str]:
    """Return the parts of a host list between the commas that stand outside of brackets."""
    parts, depth = [""], 0
    for character in text:
        depth += (character == "[") - (character == "]")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part for part in parts if part]


def _product(part: str) -> Iterator[str]:
    head, bracket, rest = part.partition("[")
    if not bracket:
        yield part
        return
    ranges, closed, tail = rest.partition("]")
    if not closed:
        raise ValueError("a bracket is not closed")
    for one in ranges.split(","):
        low, dash, high = one.partition("-")
        high = high if dash else low
        if not (_number(low) and _number(high)) or int(high) < int(low):
            raise ValueError(f"[{ranges}] is no range of numbers")
        if int(high) - int(low) >= MOST:
            raise ValueError(f"more than {MOST} files")
        for number in range(int(low), int(high) + 1):
            for after in _product(tail) if tail else ("",):
                yield f"{head}{number:0{len(low)}d}{after}"


def _number(text: str) -> bool:
    return bool(text) and not text.strip(DIGITS) and len(text) < 10


def target(path: str) -> str:
    """Return what the device file ``path`` is: "gpu:3", "cap:66" (a MIG capability) or "other:PATH".

    A link is followed, and a device of NVIDIA's own major number is known by it, whatever its name.
    """
    named = _by_name(os.path.realpath(path)) or _by_name(path)
    if named:
        return named
    try:
        info = os.stat(path)
    except OSError:
        return f"other:{path}"
    if stat.S_ISCHR(info.st_mode) and os.major(info.st_rdev) == NVIDIA_MAJOR:
        return f"gpu:{os.minor(info.st_rdev)}"
    return f"other:{path}"


def _by_name(path: str) -> str:
    name = os.path.basename(path)
    for prefix, kind in (("nvidia-cap", "cap"), ("nvidia", "gpu")):
        number = name[len(prefix) :]
        if name.startswith(prefix) and _number(number):
            return f"{kind}:{int(number)}"
    return ""
