"""Remote file systems: their servers and daemons answer."""

from __future__ import annotations

from preflight.checks.finding import Finding, untold
from preflight.checks.registry import Context, check

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterator

ANSWERS = (
    "look at the file server, or the mount's daemon; then umount -f (a dead FUSE mount: fusermount -uz) and mount again"
)


@check("mount.responds", reads=("remote",), phases=("health",), action="warn", remedy=ANSWERS)
def responds(context: Context, limit: float | None) -> Iterator[Finding]:
    """Each remote file system that is mounted answers; a user's own FUSE mount is not asked."""
    mounts = context.node.get("remote.mounts")
    unclear = untold("mount.responds", "mounts", mounts)
    if unclear:
        yield unclear
        return
    for one in mounts:
        subject, error = one["path"].replace(":", " "), one.get("error")
        if error == "NotRead":
            yield Finding("mount.responds", "unknown", "node", subject, None, error, "was not asked", None, None)
        elif error:
            text = f"{one['type']} at {one['path']} does not answer: {error}"
            yield Finding("mount.responds", "fail", "node", subject, None, error, text, ANSWERS, "statvfs")
        else:
            yield Finding(
                "mount.responds", "pass", "node", subject, None, None, f"{one['type']} answers", None, "statvfs"
            )
    if not mounts:
        yield Finding("mount.responds", "skip", "node", "mounts", None, None, "no remote file system", None, None)
