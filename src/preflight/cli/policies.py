"""The policy as a command is given it, with its errors as one line each. Without Click: submitting waits for it."""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from preflight.policy.model import Policy


def policy_for(config: str | None, node: str | None = None, quiet: bool = False) -> Policy:
    """Return the policy in force; exits with 2 and the errors on stderr where it is wrong.

    Its warnings go to stderr as well, unless ``quiet``.
    """
    from preflight.policy.load import PolicyError, load_policy

    try:
        policy = load_policy(config, node)
    except PolicyError as error:
        for line in error.lines:
            sys.stderr.write(f"preflight: {line}\n")
        raise SystemExit(2) from None
    for warning in () if quiet else policy.warnings:
        sys.stderr.write(f"preflight: warning: {warning}\n")
    return policy
