"""Kind "mount": what must be mounted, or must not be, of which type and with which options.

Only the mount table is read: no file system is touched, so a dead server hangs nothing here (`mount.responds` asks
whether they answer).
"""

from __future__ import annotations

from preflight.facts.answer import NOT_LIVE
from preflight.facts.host.kind import Args, CannotTell, Shared, kind
from preflight.facts.host.match import matches
from preflight.facts.mounts import Mount, table
from preflight.facts.rootfs import Root

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

MAX_TOLD = 16


def _table(root: Root) -> list[Mount]:
    rows = table(root)
    if rows is None:
        raise CannotTell("no mount table" if root.live else NOT_LIVE)
    return rows


@kind(
    "mount",
    keys={
        "path": "pattern!: the mount point; of several mounts of one path the last counts",
        "source": "pattern: what is mounted, such as server:/export",
        "type": "pattern: the type of the file system, such as nfs*",
        "options": "patterns: each must be among its options; /regex/: matches them as they stand, between commas",
        "present": "flag: false: it must not be mounted",
    },
    names=("path",),
    phases=("prolog", "epilog", "health"),
)
def read(root: Root, args: Args, shared: Shared) -> dict[str, Any]:
    """A file system is mounted, of the type and with the options that are asked for.

    What users mounted by FUSE counts for nothing: it must neither pass for a mount of the site's nor drain a node.
    """
    latest = {row.path: row for row in shared.of(_table) if not row.user}
    found = [row for path, row in latest.items() if matches(args["path"], path) or path == args["path"]]
    told = [{"path": row.path, "source": row.source, "type": row.kind, "options": row.options} for row in found]
    return {"mounts": told[:MAX_TOLD]}
