"""No disk file system went read-only: the kernel does that when it meets an error (ext4(5), errors=remount-ro)."""

from __future__ import annotations

from preflight.checks.finding import Finding, failed, first_unknown, passed, skipped, untold
from preflight.checks.registry import Context, check

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterator

HEALTH = ("health",)

DISK = (
    "journalctl -k for the error; then fsck, or a new disk. Read-only by intent: write ro into its line of /etc/fstab"
)


@check("mount.readonly", reads=("readonly",), phases=HEALTH, action="warn", remedy=DISK, subject="mounts")
def readonly(context: Context, limit: float | None) -> Iterator[Finding]:
    """Disk file systems that /etc/fstab has writable are."""
    mounts, fstab = context.node.get("readonly.mounts"), context.node.get("readonly.fstab")
    unclear = first_unknown(mounts, fstab)
    if unclear:
        yield untold(unclear)
    elif not fstab:
        yield skipped("there is no /etc/fstab to compare with")
    elif not mounts:
        yield passed("no disk file system went read-only")
    else:
        for one in mounts:
            text = f"{one['path']} ({one['type']} on {one['source']}) is read-only"
            yield failed(text, subject=one["path"].replace(":", " "), observed="ro", expected="rw")
