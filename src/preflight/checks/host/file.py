"""Rows of kind "file": what a path is, whose, how old, how large, and what stands in it."""

from __future__ import annotations

from preflight.checks.host.row import failed, host_check, passed

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from preflight.checks.finding import Finding


@host_check("file", remedy="put it right, on the node and where its configuration comes from (Ansible, Puppet, image)")
def file(args: dict[str, Any], told: dict[str, Any]) -> Iterator[Finding]:
    """The files that each row names are there, or are not, and are what it asks for."""
    for one in told["files"]:
        subject = one["path"].replace(":", " ")
        if one["wrong"]:
            yield failed(f"{one['path']} {', '.join(one['wrong'])}", subject=subject, observed="; ".join(one["wrong"]))
        else:
            yield passed(f"{one['path']} is as asked", subject=subject)
