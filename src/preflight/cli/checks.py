"""`preflight checks`: the catalogue of checks."""

from __future__ import annotations

import json
import textwrap
from typing import Any

import click

from preflight.checks.registry import Check, every_check
from preflight.cli import completion
from preflight.cli.columns import WIDTH
from preflight.cli.common import config_option, fail, policy_for, write_out
from preflight.policy.model import HostRow, Policy

SHOWN = 4  # names of checks that a mistyped one may mean


@click.command()
@click.argument("name", required=False, shell_complete=completion.checks)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@config_option
def checks(name: str | None, as_json: bool, config: str | None) -> None:
    """List the checks, or show all of one: what it reads, its limit, what to do when it fails."""
    from preflight.hooks.site.run import catalogue

    policy = policy_for(config)
    known = {**every_check()}
    for result in catalogue(policy):
        known.update((one.name, one) for one in result.checks)
        if result.why:
            click.echo(f"preflight: warning: {result.why}", err=True)
    known.update((row.own_name, _command(known["host.command"], row)) for row in policy.host if row.own_name)
    if name is not None and name not in known:
        fail(f"no check is named {name!r}; {_instead(name, sorted(known))}")
    rows = [_row(check, policy) for key, check in sorted(known.items()) if name in (None, key)]
    if as_json:
        write_out(json.dumps(rows if name is None else rows[0], indent=2))
    elif name is not None:
        for key, value in rows[0].items():
            click.echo(f"{key:<8} {', '.join(value) if isinstance(value, list) else value}")
    else:
        wide = max(len(row["name"]) for row in rows)
        for row in rows:
            head, rest = f"{row['name']:<{wide}}  {row['action']:<6} ", " " * (wide + 9)
            for line in textwrap.wrap(row["help"], WIDTH, initial_indent=head, subsequent_indent=rest):
                click.echo(line)


def _instead(name: str, known: list[str]) -> str:
    """Return what may be meant: the checks with that word in their names, or the one that is nearly so called."""
    import difflib

    held = [one for one in known if name.lower() in one]
    near = held or difflib.get_close_matches(name, known, 1, 0.8)
    more = f" or {len(near) - SHOWN} more" if len(near) > SHOWN else ""
    return f"did you mean {', '.join(near[:SHOWN])}{more}?" if near else "see: preflight checks"


def _command(check: Check, row: HostRow) -> Check:
    """Return a [[command]] row with a name of its own as the check that it is."""
    said = row.args.get("run") or [row.args["shell"]]
    text = f"{' '.join(said)} ends as its row in the policy asks."
    return check._replace(name=row.own_name, help=text, phases=row.phases, action=row.action or check.action)


def _row(check: Check, policy: Policy) -> dict[str, Any]:
    said = policy.check(check.name)
    return {
        "name": check.name,
        "help": check.help,
        "phases": list(check.phases),
        "reads": list(check.reads),
        "action": said.action or check.action,
        "mode": said.mode or policy.mode,
        "limit": check.limit if said.limit is None else said.limit,
        "unit": check.unit,
        "remedy": check.remedy,
    }
