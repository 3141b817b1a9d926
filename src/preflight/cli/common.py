"""What commands share: the policy option, with its errors as one line each."""

import os
import sys
from typing import NoReturn

import click

from preflight.policy.model import Policy

config_option = click.option("--config", metavar="FILE", help="The policy; default /etc/preflight/preflight.toml.")


def policy_for(config: str | None, node: str | None = None) -> Policy:
    """Return the policy in force; exits with 2 and the errors on stderr where it is wrong."""
    from preflight.policy.load import PolicyError, load_policy

    try:
        policy = load_policy(config, node)
    except PolicyError as error:
        for line in error.lines:
            sys.stderr.write(f"preflight: {line}\n")
        raise SystemExit(2) from None
    for warning in policy.warnings:
        sys.stderr.write(f"preflight: warning: {warning}\n")
    return policy


def write_out(text: str) -> None:
    """Print text as UTF-8 whatever the locale is. A reader that went away does not change what is returned."""
    try:
        click.echo(text, nl=not text.endswith("\n"))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def fail(text: str) -> NoReturn:
    """End with exit code 2 and one line."""
    raise click.ClickException(text)
