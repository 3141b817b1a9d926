"""The command `preflight sbatch`, for the group's help; what it does is in submission.py."""

import click

from preflight.cli.common import Raw
from preflight.cli.submission import HELP, run


@click.command(cls=Raw, page=HELP)
@click.pass_obj
def sbatch(debug: bool, arguments: tuple[str, ...]) -> int:
    """Plan the job, then submit it with the constraint set."""
    return run(arguments, debug)
