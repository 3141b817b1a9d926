"""The host itself: memory that is left, and room in /tmp. Users can use both up, so neither is the node's fault."""

from __future__ import annotations

from preflight.checks.finding import Finding, failed, passed, skipped, untold
from preflight.checks.registry import Context, check
from preflight.facts.view import Unknown

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

MIB = 1 << 20


def _room(value: Any, limit: float | None, what: str) -> Finding:
    """Judge available bytes (``value``) against ``limit`` in MiB."""
    if isinstance(value, Unknown):
        return untold(value)
    if value is None:
        return skipped(f"no {what} on this node")
    available, bound = value // MIB, f">= {limit or 0:g} MiB"
    if available < (limit or 0):
        return failed(f"only {available} MiB {what} left", expected=bound, observed=f"{available} MiB")
    return passed(f"{available} MiB {what} left", expected=bound, observed=f"{available} MiB")


MEMORY = "look for processes that no job owns, and for /dev/shm and /tmp in memory"
TMP = "remove what ended jobs left in /tmp"


@check(
    "node.memory",
    reads=("memory",),
    action="warn",
    limit=256,
    unit="MiB",
    remedy=MEMORY,
    subject="memory",
    blame="user",
)
def memory(context: Context, limit: float | None) -> Iterator[Finding]:
    """Memory that is available on the node is not below the limit."""
    yield _room(context.node.get("memory.available"), limit, "memory")


@check("node.tmp", reads=("tmp",), action="warn", limit=512, unit="MiB", remedy=TMP, subject="/tmp", blame="user")
def tmp(context: Context, limit: float | None) -> Iterator[Finding]:
    """Free space in /tmp is not below the limit."""
    yield _room(context.node.get("tmp.free"), limit, "in /tmp")
