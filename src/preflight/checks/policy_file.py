"""The policy itself: a file nobody can read is the site's fault, and is said in every report."""

from __future__ import annotations

from preflight.checks.finding import Finding, failed, passed
from preflight.checks.registry import Context, check

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterator

REMEDY = "correct the file (preflight config check); until then nothing is drained or moved"


@check("policy", reads=(), remedy=REMEDY, subject="policy", blame="site")
def policy(context: Context, limit: float | None) -> Iterator[Finding]:
    """The policy file is well formed."""
    problem = context.policy.problem
    made, message = (failed, problem) if problem else (passed, "the policy is in force")
    yield made(message, source=context.policy.path)
