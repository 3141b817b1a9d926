"""Disk file systems that are read-only although /etc/fstab does not say so: the kernel does that after an error."""

from __future__ import annotations

from preflight.facts.answer import NOT_LIVE, Answer, unknown
from preflight.facts.mounts import table
from preflight.facts.registry import fact
from preflight.facts.rootfs import Root

FSTAB = "/etc/fstab"
# ext4(5), errors=remount-ro; XFS shuts down instead; btrfs(5) goes read-only when a transaction is aborted.
DISKS = ("ext2", "ext3", "ext4", "btrfs", "f2fs", "jfs", "reiserfs", "xfs", "vfat")


@fact("readonly", keys={"mounts": [{"path": "text", "type": "text", "source": "text"}], "fstab": "flag: there is one"})
def read(root: Root) -> Answer:
    """Disk file systems that are read-only and not meant to be."""
    rows = table(root)
    if rows is None:
        return unknown("no mount table" if root.live else NOT_LIVE)
    text = root.read_text(FSTAB)
    lines = [line.split() for line in (text or "").splitlines() if not line.lstrip().startswith("#")]
    meant = {words[1]: words[3].split(",") for words in lines if len(words) > 3}
    found = [
        {"path": row.path, "type": row.kind, "source": row.source}
        for row in {row.path: row for row in rows}.values()
        if row.kind in DISKS and "ro" in row.options.split(",") and "ro" not in meant.get(row.path, ["ro"])
    ]
    return Answer({"mounts": found, "fstab": text is not None})
