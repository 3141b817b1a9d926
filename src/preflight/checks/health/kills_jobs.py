"""A node on which job after job fails, whoever's they are: a fault that no single check sees."""

from __future__ import annotations

from preflight.checks.finding import Finding, failed, passed, skipped
from preflight.checks.registry import Context, check
from preflight.times import seconds

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterator

WINDOW = "6h"
USERS = 3  # of whom each lost jobs, or as many as the limit: one user's wrong script fails on each node
MOST_WELL = 0.25  # of the jobs that ended here within the window: a node on which most end well is no killer
LOOK = "sacct -N NODE -S now-6hours -o jobid,user,state,exitcode; compare with other nodes, then drain it by hand"


@check(
    "node.kills-jobs",
    reads=(),
    phases=("health",),
    action="warn",
    limit=5,
    unit="failed jobs of different users within the window",
    remedy=LOOK,
    subject="jobs",
    source="epilogs",
)
def kills_jobs(context: Context, limit: float | None) -> Iterator[Finding]:
    """Not as many jobs of different users failed here within the window (six hours) as the limit."""
    window = context.policy.check("node.kills-jobs").window or WINDOW
    within = [one for one in context.ends if one.ago_s <= seconds(window)]
    if not within:
        yield skipped(f"no epilog of the last {window} knows how a job ended")
        return
    bad = [one for one in within if one.failed]
    users, most = len({one.uid for one in bad}), int(limit or 0)
    bound = f"< {most} in {window}"
    text = f"{len(bad)} of {len(within)} jobs failed here in {window}, of {users} users"
    if len(bad) >= most and users >= min(USERS, most) and len(bad) >= (1 - MOST_WELL) * len(within):
        latest = ", ".join(str(one.job) for one in sorted(bad, key=lambda one: one.ago_s)[:8])
        yield failed(f"{text}: {latest}", observed=len(bad), expected=bound)
    else:
        yield passed(text, observed=len(bad), expected=bound)
