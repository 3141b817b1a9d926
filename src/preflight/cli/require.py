"""`preflight require`: parse a requirement, say what it asks, and compile it for Slurm's scheduler."""

from __future__ import annotations

import click

from preflight.requirements import names
from preflight.requirements.grammar import RequirementError, parse, to_json

FORMS = ["words", "extra", "constraint", "json"]


def _names_help() -> str:
    """Return the names for the command's help, one a line."""
    width = max(len(row.name) for row in names.ROWS)
    lines = [f"  {row.name:<{width}}  {row.example}" for row in names.ROWS]
    # \b keeps click from wrapping the lines.
    return "\b\nNames, each with an example:\n" + "\n".join(lines)


@click.command(epilog=_names_help())
@click.argument("spec")
@click.option("--to", "form", type=click.Choice(FORMS), default="words", help="What to print.")
@click.option("--with", "own", metavar="TEXT", default="", help="A user's own --extra or --constraint, to be kept.")
@click.option("--features", metavar="A,B", help="The cluster's node features; default: asked of sinfo.")
@click.option(
    "--gres", metavar="TEXT", default="", help="The job's --gres: one with a MIG profile, such as gpu:3g.40gb:1."
)
@click.option("--config", metavar="FILE", help="The policy: where Slurm's commands are.")
def require(spec: str, form: str, own: str, features: str | None, gres: str, config: str | None) -> int:
    """Parse the requirement SPEC and say in plain English what it asks of a node.

    --to extra and --to constraint print what Slurm's scheduler is to be asked, and on stderr which clauses it cannot be
    asked: those the prolog verifies.

    Exits with 0; 2 where SPEC is mistaken; 3 where no node has the features for it.
    """
    try:
        requirement = parse(spec)
    except RequirementError as error:
        click.echo(str(error), err=True)
        raise SystemExit(2) from None
    if form == "json":
        import json

        click.echo(json.dumps(to_json(requirement), indent=2))
    elif form == "words":
        import textwrap

        from preflight.requirements import words
        from preflight.requirements.doubts import doubts

        for line in (*words.explain(requirement), *(f"! {one}" for one in doubts(requirement))):
            click.echo(textwrap.fill(line, 80, subsequent_indent="  ", break_on_hyphens=False))
    else:
        from preflight.cli.placing import place
        from preflight.slurm.commands import SlurmError

        try:
            return place(requirement, form, own, features, config, gres).say()
        except SlurmError as error:
            raise click.ClickException(f"{error}; or name the features with --features") from None
    return 0
