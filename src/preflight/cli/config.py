"""`preflight config check|show`: the policy."""

from __future__ import annotations

import json

import click

from preflight.cli import completion
from preflight.cli.common import config_option, policy_for, write_out
from preflight.cli.groups import Group


@click.group(cls=Group)
def config() -> None:
    """Validate the policy, or print what is in force."""


@config.command("check")
@click.argument("file", required=False, shell_complete=completion.files)
@config_option
def check(file: str | None, config: str | None) -> None:
    """Validate FILE (default: the installed policy) and its drop-ins; errors name file, line and key."""
    from preflight.agent.epilogs import no_time
    from preflight.checks.names import unknown_checks
    from preflight.hooks.site.run import catalogue

    policy = policy_for(file or config, quiet=True)
    sites = catalogue(policy)
    names = [check.name for result in sites for check in result.checks]
    refused = [result.why for result in sites if result.why]
    wrong = (*policy.doubts(), *unknown_checks(policy, lambda: names), *refused)
    for line in wrong:
        click.echo(f"preflight: {line}", err=True)
    if wrong:
        raise SystemExit(2)
    short = no_time(policy, True)
    agents = f"{short}: an agent leaves epilogs of jobs with GPUs to the hook (docs/agent.md)"
    for line in (*policy.notes, *([agents] if short else [])):
        click.echo(f"preflight: {line}", err=True)
    where = policy.path or "no policy file: the defaults"
    rows = f", {len(policy.host)} [[host]] rows" if policy.host else ""
    click.echo(f"{where}: fine ({len(policy.expect)} expectations{rows} for this node, mode {policy.mode})")


@config.command("show")
@config_option
def show(config: str | None) -> None:
    """Print the policy in force on this node, defaults merged, as JSON."""
    from preflight.policy.model import to_json

    write_out(json.dumps(to_json(policy_for(config)), indent=2))
