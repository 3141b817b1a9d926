"""Rows of kind "users": processes of users who have no job on this node."""

from __future__ import annotations

from preflight.checks.host.row import failed, host_check

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from preflight.checks.finding import Finding

REMEDY = "pam_slurm_adopt keeps users without a job out; [epilog] end_processes ends what jobs left"


@host_check("users", remedy=REMEDY, blame="user")
def users(args: dict[str, Any], told: dict[str, Any]) -> Iterator[Finding]:
    """Users who have no job on the node have no processes there, but those that a row allows."""
    if told["count"]:
        shown = ", ".join(f"{one['name']} ({one['pid']}, uid {one['uid']})" for one in told["strays"])
        yield failed(f"{told['count']} processes of users without a job here: {shown}", observed=told["count"])
