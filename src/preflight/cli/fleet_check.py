"""`preflight fleet check`: the check of this moment on many nodes. It needs no store."""

import json
import os
import sys

import click

from preflight.cli.common import fail, write_out
from preflight.fleet import everywhere
from preflight.hostlist import HostlistError


@click.command("check")
@click.option("-w", "--nodelist", "nodes", required=True, metavar="NODES", help="Which nodes, as Slurm writes them.")
@click.option("-p", "--partition", default="", help="The partition that srun takes.")
@click.option("--require", "spec", default="", metavar="SPEC", help="A requirement to hold them against.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def check_(nodes: str, partition: str, spec: str, as_json: bool) -> int:
    """Run `preflight check` on many nodes through srun; equal answers are said once.

    Exits with the worst answer of a node: 0 ready, 1 unhealthy, 3 mismatch, 4 unknown or no answer.
    """
    command = [*_this_program(), "check", "--json", *(["--require", spec] if spec else [])]
    try:
        answers = everywhere.check(nodes, command, partition=partition)
    except (everywhere.EverywhereError, HostlistError) as error:
        fail(str(error))
    if as_json:
        write_out(json.dumps([one._asdict() for one in answers], indent=2))
    else:
        for one in answers:
            title = f"{one.nodes} ({one.number})"
            write_out(f"{title}\n{'-' * min(len(title), 80)}\n{one.text}\n")
    statuses = {4 if one.status not in (0, 1, 3) else one.status for one in answers}
    return next((status for status in (1, 4, 3) if status in statuses), 0)


def _this_program() -> list[str]:
    """Return what starts this very Preflight: it stands at the same place on every node."""
    program = os.path.abspath(sys.argv[0])
    if not program.endswith(".py"):
        return [program]
    return [sys.executable, *(["-I"] if sys.flags.isolated else []), *(["-S"] if sys.flags.no_site else []), program]
