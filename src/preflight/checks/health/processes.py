"""Processes: zombies, those that wait for a disk or a file server, and whether there are numbers left for more."""

from __future__ import annotations

from preflight.checks.finding import Finding, failed, first_unknown, passed, untold
from preflight.checks.registry import Context, check
from preflight.facts.view import Unknown

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterator

HEALTH = ("health",)

PARENT = "ps -eo pid,ppid,stat,user,args | grep ' Z'; their parent does not wait for them: end it"


@check(
    "node.zombies",
    reads=("processes",),
    phases=HEALTH,
    action="warn",
    limit=100,
    unit="processes",
    remedy=PARENT,
    subject="processes",
    blame="user",
)
def zombies(context: Context, limit: float | None) -> Iterator[Finding]:
    """No more processes have ended without being waited for than the limit."""
    value = context.node.get("processes.zombies")
    bound = f"<= {limit or 0:g}"
    if isinstance(value, Unknown):
        yield untold(value)
    elif value > (limit or 0):
        yield failed(f"{value} zombies", observed=value, expected=bound)
    else:
        yield passed(f"{value} zombies", observed=value, expected=bound)


WAIT = "cat /proc/PID/stack says what each waits for: a file server that is gone, a disk, a driver"


@check(
    "node.waiting",
    reads=("processes",),
    phases=HEALTH,
    action="warn",
    limit=8,
    unit="processes",
    remedy=WAIT,
    subject="processes",
    blame="user",
)
def waiting(context: Context, limit: float | None) -> Iterator[Finding]:
    """No more processes wait in the kernel for a disk or a file server (state D) than the limit."""
    found = context.node.get("processes.waiting")
    bound = f"<= {limit or 0:g}"
    if isinstance(found, Unknown):
        yield untold(found)
    elif len(found) > (limit or 0):
        shown = ", ".join(f"{one['name']} ({one['pid']})" for one in found[:8])
        yield failed(f"{len(found)} processes wait in state D: {shown}", observed=len(found), expected=bound)
    else:
        yield passed(f"{len(found)} processes wait in state D", observed=len(found), expected=bound)


NUMBERS = "whose they are: ps -eLo user | sort | uniq -c; TasksMax=, ulimit -u and pids.max keep a user from it"


@check(
    "node.threads",
    reads=("processes",),
    phases=HEALTH,
    action="warn",
    limit=85,
    unit="%",
    remedy=NUMBERS,
    subject="processes",
    blame="user",
)
def threads(context: Context, limit: float | None) -> Iterator[Finding]:
    """There are numbers left for more threads (kernel.pid_max, kernel.threads-max)."""
    number, most = context.node.get("processes.threads"), context.node.get("processes.threads_max")
    unclear = first_unknown(number, most)
    if unclear:
        yield untold(unclear)
        return
    used = 100 * number / most if most else 0.0
    text, bound = f"{number} threads of {most} that the kernel has numbers for", f"<= {limit or 0:g}%"
    yield (failed if used > (limit or 0) else passed)(text, observed=f"{used:.0f}%", expected=bound)
