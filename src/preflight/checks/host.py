"""The host itself: memory that is left, and room in /tmp. Users can use both up, so neither is the node's fault."""

from __future__ import annotations

from preflight.checks.finding import Finding
from preflight.checks.registry import Context, check
from preflight.facts.view import Unknown

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

MIB = 1 << 20


def _room(name: str, subject: str, value: Any, limit: float | None, what: str, remedy: str) -> Finding:
    """Judge bytes left (``value``) against ``limit`` in MiB."""
    if isinstance(value, Unknown):
        return Finding(name, "unknown", "user", subject, None, None, f"could not tell: {value.reason}", None, None)
    if value is None:
        return Finding(name, "skip", "user", subject, None, None, f"no {what} on this node", None, None)
    left, bound = value // MIB, f">= {limit or 0:g} MiB"
    if left < (limit or 0):
        return Finding(
            name, "fail", "user", subject, bound, f"{left} MiB", f"only {left} MiB {what} left", remedy, None
        )
    return Finding(name, "pass", "user", subject, bound, f"{left} MiB", f"{left} MiB {what} left", None, None)


MEMORY = "look for processes that no job owns, and for /dev/shm and /tmp in memory"
TMP = "remove what ended jobs left in /tmp"


@check("node.memory", reads=("memory",), action="warn", limit=256, unit="MiB", remedy=MEMORY)
def memory(context: Context, limit: float | None) -> Iterator[Finding]:
    """Memory that is available on the node is not below the limit."""
    yield _room("node.memory", "memory", context.node.get("memory.available"), limit, "memory", MEMORY)


@check("node.tmp", reads=("tmp",), action="warn", limit=512, unit="MiB", remedy=TMP)
def tmp(context: Context, limit: float | None) -> Iterator[Finding]:
    """Free space in /tmp is not below the limit."""
    yield _room("node.tmp", "/tmp", context.node.get("tmp.free"), limit, "in /tmp", TMP)
