"""Whether the remote file systems answer, each asked for its size; one that hangs is named."""

from __future__ import annotations

from preflight.facts.answer import NOT_LIVE, Answer, unknown
from preflight.facts.isolate import Outcome
from preflight.facts.mounts import read_remote, remote_paths
from preflight.facts.registry import FILES, fact
from preflight.facts.rootfs import Root

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

ASKING = "statvfs of each"


def _unfinished(parts: list[Any], outcome: Outcome) -> Answer:
    """Return the mounts when one hung: those that were asked and did not answer have error "Timeout"."""
    latest: dict[str, dict[str, Any]] = {mount["path"]: mount for mount in parts}
    for mount in latest.values():
        if outcome.stuck_at == f"remote: {ASKING}" and mount.get("error") == "NotRead":
            mount["error"] = "Timeout"
    return Answer({"mounts": list(latest.values())})


@fact(
    "remote",
    keys={
        "mounts": [
            {
                "path": "text",
                "type": "text",
                "error": "text?: Timeout for one that hangs, NotRead where none was asked",
            }
        ]
    },
    child=FILES,
    budget_s=10,
    unfinished=_unfinished,
)
def read(root: Root) -> Answer:
    """Remote file systems, each asked for its size; all at once, but a user's own."""
    if not root.live:
        return unknown(NOT_LIVE)
    found: list[dict[str, Any]] = []

    def tell(mount: dict[str, Any]) -> None:
        found.append(mount)
        root.part(mount)

    for path, kind in remote_paths(root):  # first of all, so that those behind a dead one are named too
        root.part({"path": path, "type": kind, "error": "NotRead"})
    read_remote(root, root.touch, tell)
    return Answer({"mounts": found})
