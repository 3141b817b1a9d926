"""Remote file systems: their servers and daemons answer."""

from __future__ import annotations

from preflight.checks.finding import Finding, failed, passed, skipped, untold
from preflight.checks.registry import Context, check
from preflight.facts.view import Unknown

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterator

ANSWERS = (
    "look at the file server, or the mount's daemon; then umount -f (a dead FUSE mount: fusermount -uz) and mount again"
)


@check("mount.responds", reads=("remote",), phases=("health",), action="warn", remedy=ANSWERS, subject="mounts")
def responds(context: Context, limit: float | None) -> Iterator[Finding]:
    """Each remote file system that is mounted answers; a user's own FUSE mount is not asked."""
    mounts = context.node.get("remote.mounts")
    if isinstance(mounts, Unknown):
        yield untold(mounts)
        return
    for one in mounts:
        subject, error = one["path"].replace(":", " "), one.get("error")
        if error == "NotRead":
            yield untold("was not asked", subject=subject, observed=error)
        elif error:
            text = f"{one['type']} at {one['path']} does not answer: {error}"
            yield failed(text, subject=subject, observed=error, source="statvfs")
        else:
            yield passed(f"{one['type']} answers", subject=subject, source="statvfs")
    if not mounts:
        yield skipped("no remote file system")
