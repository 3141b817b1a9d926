"""What a shell's Tab offers beyond Click's own: names of checks, nodes, partitions and jobs, sbatch's options, files.

Nothing here may print, raise, or keep the user waiting: where Slurm does not answer at once, nothing is offered.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

LIMIT_S = 1.5
NODES = ("-w", "--nodelist", "-x", "--exclude")
PARTITIONS = ("-p", "--partition")


def files(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer files."""
    return [_item(incomplete, "file")]


def directories(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer directories."""
    return [_item(incomplete, "dir")]


def checks(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the names of checks, with what each looks at."""
    from preflight.checks.registry import every_check

    found = sorted(every_check().items())
    return [_item(name, help=one.help) for name, one in found if _fits(name, incomplete)]


def nodes(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the cluster's nodes."""
    return _items(_slurm("sinfo", "-h", "-N", "-o", "%N"), incomplete)


def jobs(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer this user's jobs."""
    return _items(_slurm("squeue", "-h", "-u", str(os.getuid()), "-o", "%i"), incomplete)


def submission(arguments: Iterable[str], incomplete: str) -> list[CompletionItem]:
    """Offer what follows ``arguments`` on the command line of plan and sbatch: an option, its value, or the script."""
    before = list(arguments)
    if before and before[-1] == "=":  # bash makes words of --partition=main
        before.pop()
    option = before[-1] if before else ""
    if option in PARTITIONS:
        return _items(_slurm("sinfo", "-h", "-o", "%R"), incomplete)
    if option in NODES:
        return _items(_slurm("sinfo", "-h", "-N", "-o", "%N"), incomplete)
    if incomplete.startswith("-"):
        from preflight.submit.options_table import PLUGIN_ROWS, ROWS

        own = ("infer", "json", "config", "help")
        return _items(sorted({f"--{one}" for one in (*own, *ROWS, *PLUGIN_ROWS)}), incomplete)
    return [_item(incomplete, "file")]


def _fits(name: str, incomplete: str) -> bool:
    return name.startswith(incomplete) and name.isprintable()


def _item(value: str, type: str = "plain", help: str | None = None) -> CompletionItem:
    from click.shell_completion import CompletionItem  # only for a Tab

    return CompletionItem(value, type, help)


def _items(names: Iterable[str], incomplete: str) -> list[CompletionItem]:
    return [_item(one) for one in dict.fromkeys(names) if _fits(one, incomplete)]


def _slurm(command: str, *arguments: str) -> list[str]:
    """Return the words that a command of Slurm's prints; none where there is no answer at once."""
    from preflight.policy.load import PolicyError, load_policy
    from preflight.slurm.commands import Slurm, SlurmError

    try:
        policy = load_policy(None)
        conf = policy.hook.slurm_conf or os.environ.get("SLURM_CONF", "")
        slurm = Slurm(policy.hook.slurm_bin, conf, time.monotonic() + LIMIT_S)
        return slurm.run(command, *arguments).split()
    except (SlurmError, PolicyError, OSError):
        return []
