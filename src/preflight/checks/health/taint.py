"""The kernel has met nothing since its start after which it should be started anew."""

from __future__ import annotations

from preflight.checks.finding import Finding, failed, passed, untold
from preflight.checks.registry import Context, check
from preflight.facts.view import Unknown

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterator

HEALTH = ("health",)

# Documentation/admin-guide/tainted-kernels.rst. Not here: P, O, E, X (modules of vendors: NVIDIA's, Lustre's), W (a
# warning), S, C, U, I, K, T and A, which a site chooses or a firmware has.
WORDS = {
    "D": "it died once (an oops or BUG)",
    "M": "a processor reported a machine check",
    "B": "a page of memory was found corrupt",
    "L": "a CPU hung in the kernel (soft lockup)",
    "R": "a module was removed by force",
    "F": "a module was loaded by force",
}
REBOOT = "journalctl -k -b for what it met; a reboot clears it"


@check(
    "kernel.taint",
    reads=("taint",),
    phases=HEALTH,
    action="warn",
    remedy=REBOOT,
    subject="kernel",
    source="/proc/sys/kernel/tainted",
)
def taint(context: Context, limit: float | None) -> Iterator[Finding]:
    """The kernel has not died, hung or met a machine check or a corrupt page since its start."""
    flags = context.node.get("taint.flags")
    if isinstance(flags, Unknown):
        yield untold(flags)
        return
    met = [WORDS[flag] for flag in flags if flag in WORDS]
    if met:
        yield failed(f"the kernel is tainted: {'; '.join(met)}", observed="".join(flags))
    else:
        yield passed("the kernel has met nothing bad", observed="".join(flags) or None)
