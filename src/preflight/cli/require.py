"""`preflight require`: parse a requirement, say what it asks, and compile it for Slurm's scheduler."""

import os
import time

import click

from preflight.requirements import names
from preflight.requirements.grammar import Requirement, RequirementError, parse, to_json

FORMS = ["words", "extra", "constraint", "json"]
SINFO_S = 5.0


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
@click.option("--config", metavar="FILE", help="The policy: where Slurm's commands are.")
def require(spec: str, form: str, own: str, features: str | None, config: str | None) -> int:
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

        for line in words.explain(requirement):
            click.echo(textwrap.fill(line, 80, subsequent_indent="  ", break_on_hyphens=False))
    else:
        return _compile(requirement, form, own, features, config)
    return 0


def _compile(requirement: Requirement, form: str, own: str, features: str | None, config: str | None) -> int:
    from preflight.requirements.compile import NotPlaceable, join_constraint, join_extra, to_constraint, to_extra
    from preflight.requirements.text import safe

    if form == "extra":
        compiled = to_extra(requirement)
        text = join_extra(own, compiled.text)
    else:
        listed = features.split(",") if features is not None else _cluster(config)
        compiled = to_constraint(requirement, [one.strip() for one in listed if one.strip()])
        try:
            text = join_constraint(own, compiled.text)
        except NotPlaceable as why:
            click.echo(f"preflight: the prolog verifies all of it: {why}", err=True)
            text = own
    for clause, why_not in compiled.not_placeable:
        click.echo(f"preflight: the prolog verifies {safe(clause.text, 120)}: {why_not}", err=True)
    for clause in compiled.unmet:
        click.echo(f"preflight: no node fits {safe(clause.text, 120)}", err=True)
    click.echo(text)
    return 3 if compiled.unmet else 0


def _cluster(config: str | None) -> list[str]:
    from preflight.cli.common import fail, policy_for
    from preflight.slurm.commands import Slurm, SlurmError
    from preflight.slurm.publish import cluster_features

    hook = policy_for(config).hook
    conf = hook.slurm_conf or os.environ.get("SLURM_CONF", "")
    try:
        return cluster_features(Slurm(hook.slurm_bin, conf, time.monotonic() + SINFO_S))
    except SlurmError as error:
        return fail(f"{error}; or name the features with --features")
