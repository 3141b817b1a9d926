"""`preflight require`: parse a requirement and say what it asks."""

import json

import click

from preflight.requirements import names, words
from preflight.requirements.grammar import RequirementError, parse, to_json


def _names_help() -> str:
    """Return the names for the command's help, one a line."""
    width = max(len(row.name) for row in names.ROWS)
    lines = [f"  {row.name:<{width}}  {row.example}" for row in names.ROWS]
    # \b keeps click from wrapping the lines.
    return "\b\nNames, each with an example:\n" + "\n".join(lines)


@click.command(epilog=_names_help())
@click.argument("spec")
@click.option("--to", "form", type=click.Choice(["words", "json"]), default="words", help="What to print.")
def require(spec: str, form: str) -> None:
    """Parse the requirement SPEC and say in plain English what it asks of a node.

    Exits with 0, or with 2 where SPEC is mistaken.
    """
    try:
        requirement = parse(spec)
    except RequirementError as error:
        click.echo(str(error), err=True)
        raise SystemExit(2) from None
    if form == "json":
        click.echo(json.dumps(to_json(requirement), indent=2))
    else:
        for line in words.explain(requirement):
            click.echo(line)
