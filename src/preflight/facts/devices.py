"""NVIDIA's device files: what a program opens to reach a GPU."""

from __future__ import annotations

from stat import S_ISCHR

from preflight.facts.answer import NOT_LIVE, Answer, unknown
from preflight.facts.registry import fact
from preflight.facts.rootfs import Root

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

DIRECTORY = "/dev"
PREFIX = "nvidia"
MAX_FILES = 512


@fact(
    "devices",
    keys={
        "files": [
            {
                "name": "text: nvidia0, nvidiactl, nvidia-uvm",
                "mode": "count: permission bits",
                "uid": "count",
                "gid": "count",
                "character": "flag: a character device, and no ordinary file",
            }
        ]
    },
)
def read(root: Root) -> Answer:
    """NVIDIA's device files in /dev, with their permissions."""
    holder = root.holder(f"{DIRECTORY}/{PREFIX}ctl")
    if holder is None:
        return Answer({"files": []}) if root.live else unknown(NOT_LIVE)
    found: list[dict[str, Any]] = []
    for name in holder.names(DIRECTORY) or []:
        if not name.startswith(PREFIX) or len(found) >= MAX_FILES:
            continue
        info = holder.stat(f"{DIRECTORY}/{name}")
        if info is None or (info.st_mode & 0o170000) == 0o040000:
            continue
        found.append(
            {
                "name": name,
                "mode": info.st_mode & 0o777,
                "uid": info.st_uid,
                "gid": info.st_gid,
                "character": S_ISCHR(info.st_mode),
            }
        )
    return Answer({"files": found})
