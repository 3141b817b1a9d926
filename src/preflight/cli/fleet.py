"""`preflight fleet …`: a group that imports a command only when it is called."""

from __future__ import annotations

from typing import Any

import click

from preflight.cli.common import fail
from preflight.cli.groups import Group
from preflight.fleet.store.interface import StoreError

COMMANDS = {
    "status": "How the nodes are now, and what the last 24 hours brought.",
    "node": "A node's history: verdicts, drains, changes, jobs lost, MTBF.",
    "jobs": "Jobs with reports, the latest first.",
    "drains": "Drains by Preflight: why, since when, how they ended.",
    "would": "What observe mode, kill switch or breaker kept from being done.",
    "drift": "Nodes of one kind that are not alike.",
    "since": "What a window of time brought.",
    "check": "The check of this moment on many nodes, through srun.",
    "forget": "Nodes that are no more: out of every list, their tokens ended.",
    "token": "A node's token for `preflight ship`.",
    "reader": "A reader's token for the dashboard.",
}
MODULES = {
    **dict.fromkeys(("node", "jobs"), "fleet_nodes"),
    **dict.fromkeys(("token", "reader", "forget"), "fleet_tokens"),
}
NEEDS = "pip install 'slurm-preflight[fleet]'"


class Lazy(Group):
    """A group whose commands stand in modules by subject."""

    helps = COMMANDS

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order of COMMANDS."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command, None where there is none of that name; ends where the extra is missing."""
        if cmd_name == "check":
            from preflight.cli.fleet_check import check_

            return check_
        if cmd_name not in COMMANDS:
            return None
        try:
            from importlib import import_module

            its = import_module(f"preflight.cli.{MODULES.get(cmd_name, 'fleet_answers')}")
        except ImportError as error:
            return fail(f"{error.name} is not installed: {NEEDS}")
        command: click.Command = its.COMMANDS[cmd_name]
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing any of them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; a store that fails is one line."""
        try:
            return super().invoke(ctx)
        except StoreError as error:
            return fail(str(error))


@click.group(cls=Lazy)
def fleet() -> None:
    """Answers for the whole cluster, from the store that `preflight serve` or `preflight ingest` fills."""
