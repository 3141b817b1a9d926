"""Rows of kind "process": what must run, must not run, or must not take too much."""

from __future__ import annotations

from preflight.checks.host.row import failed, host_check, passed

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from preflight.checks.finding import Finding

REMEDY = "systemctl status of its unit; for one that must not run: whose it is (ps -o user,pid,ppid,etime,args -p PID)"
OTHERS = ("count_min", "count_max", "cpu_max", "memory_max", "rss_max", "vsz_max", "age_max", "cputime_max")


@host_check("process", remedy=REMEDY)
def process(args: dict[str, Any], told: dict[str, Any]) -> Iterator[Finding]:
    """The processes that each row asks for run, as many as it says, and take no more than it says."""
    count, pids = told["count"], ", ".join(map(str, told["pids"]))
    least = args.get("count_min", 0 if any(key in args for key in OTHERS) else 1)
    most = args.get("count_max")
    what = args.get("name") or args.get("match") or f"processes in state {args.get('state', '?')}"
    if "user" in args:
        what += f" of {args['user']}"
    if count < least:
        # No user can end a daemon of root's; a user's process may look like one, which only hides that it is missing.
        yield failed(f"{count} {what} run", observed=count, expected=f">= {least}", blame="node")
    elif most is not None and count > most:
        yield failed(f"{count} {what} run: {pids}", observed=count, expected=f"<= {most}")
    else:
        yield passed(f"{count} {what} run", observed=count)
    for one in told["greedy"]:
        yield failed(f"{one['name']} ({one['pid']}) {one['why']}", observed=one["why"])
