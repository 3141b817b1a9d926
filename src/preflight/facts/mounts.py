"""What is mounted, and whether remote file systems answer."""

from __future__ import annotations

import os

from preflight.facts.answer import NOT_LIVE, Answer, explain, unknown
from preflight.facts.rootfs import Root

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Callable

FILES = ("/proc/self/mounts", "/proc/mounts")
MAX_MOUNTS = 4 << 20
REMOTE = frozenset(
    """nfs nfs4 lustre gpfs beegfs cifs smb3 ceph glusterfs panfs pvfs2 orangefs afs wekafs vast 9p cvmfs2 fuse.cvmfs2
    fuse.sshfs fuse.glusterfs fuse.ceph fuse.juicefs fuse.rclone fuse.s3fs""".split()  # noqa: SIM905 - reads better
)
_OCTAL = r"\\([01][0-7]{2})"  # the kernel escapes blanks, "#" and "\\" only


def read(root: Root) -> Answer:
    """Return subject ``mounts``: paths, the mount points in the order of the mount table. Touches no mount."""
    table = _table(root)
    if table is None:
        return unknown("no mount table" if root.live else NOT_LIVE)
    return Answer({"paths": list(dict.fromkeys(path for path, _ in table))})


def read_remote(root: Root, announce: Callable[[str], None], tell: Callable[[dict[str, object]], None]) -> None:
    """Ask each remote file system for its size; runs in a probe child, because a dead server hangs the call.

    Tells ``{"path", "type"}`` for each that answers, with ``"error"`` where it answers an error.
    """
    for path, kind in _table(root) or []:
        if kind not in REMOTE:
            continue
        announce(f"statvfs {path}")
        found: dict[str, object] = {"path": path, "type": kind}
        try:
            os.statvfs(path)
        except OSError as error:
            found["error"] = explain(error)
        tell(found)


def remote_paths(root: Root) -> list[tuple[str, str]]:
    """Return (mount point, type) of the remote file systems, without touching them."""
    return [(path, kind) for path, kind in _table(root) or [] if kind in REMOTE]


def decode(text: str) -> str:
    r"""Return a path of the mount table with its octal escapes (``\040`` for a blank) decoded."""
    import re

    return re.sub(_OCTAL, lambda found: chr(int(found[1], 8)), text)


def _table(root: Root) -> list[tuple[str, str]] | None:
    for path in FILES:
        text = root.live_read(path, MAX_MOUNTS)
        if text is not None:
            rows = [line.split(" ") for line in text.splitlines()]
            return [(decode(row[1]), row[2]) for row in rows if len(row) >= 3]
    return None
