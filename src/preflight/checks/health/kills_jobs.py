"""A node on which job after job fails, whoever's they are: a fault that no single check sees."""

from __future__ import annotations

from preflight.checks.finding import Finding, failed, passed, skipped
from preflight.checks.registry import Context, JobEnd, check

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterator

WINDOW_S = 6 * 3600.0
USERS = 3  # of whom each lost jobs: one user's wrong script fails on each node
LOOK = "sacct -N NODE -S now-6hours -o jobid,user,state,exitcode; compare with other nodes, then drain it by hand"


@check(
    "node.kills-jobs",
    reads=(),
    phases=("health",),
    action="warn",
    limit=5,
    unit="failed jobs in a row, of three users and more, within six hours",
    remedy=LOOK,
    subject="jobs",
    source="epilogs",
)
def kills_jobs(context: Context, limit: float | None) -> Iterator[Finding]:
    """Not as many jobs in a row failed here as the limit, of at least three users, with none that ended well between."""
    within = sorted((one for one in context.ends if one.ago_s <= WINDOW_S), key=lambda one: one.ago_s)
    if not within:
        yield skipped("no epilog of the last six hours knows how a job ended")
        return
    row: list[JobEnd] = []
    for one in within:
        if not one.failed:
            break
        row.append(one)
    users = len({one.uid for one in row})
    bound = f"< {limit or 0:g} in a row"
    if len(row) >= (limit or 0) and users >= USERS:
        jobs = ", ".join(str(one.job) for one in row[:8])
        text = f"the last {len(row)} jobs failed here, of {users} users: {jobs}"
        yield failed(text, observed=len(row), expected=bound)
    else:
        yield passed(f"{len(row)} jobs in a row failed here, of {users} users", observed=len(row), expected=bound)
