"""The policy itself: a file nobody can read is the site's fault, and is said in every report."""

from __future__ import annotations

from preflight.checks.finding import Finding
from preflight.checks.registry import Context, check

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterator

REMEDY = "correct the file (preflight config check); until then nothing is drained or moved"


@check("policy", reads=(), remedy=REMEDY)
def policy(context: Context, limit: float | None) -> Iterator[Finding]:
    """The policy file is well formed."""
    problem = context.policy.problem
    status, message = ("fail", problem) if problem else ("pass", "the policy is in force")
    yield Finding(
        "policy", status, "site", "policy", None, None, message, REMEDY if problem else None, context.policy.path
    )
