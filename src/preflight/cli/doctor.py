"""`preflight doctor`: is all of it right on this host? Looks, and changes nothing."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import click

from preflight.cli import completion
from preflight.cli.common import fail, write_out

if TYPE_CHECKING:
    from preflight.deploy.doctor.host import Host
    from preflight.deploy.doctor.result import Result


@click.command()
@click.option("--prefix", metavar="DIR", help="Where it is installed; default: where this is, or /opt/preflight.")
@click.option("--config", metavar="FILE", help="The policy; default: the one that the hooks read.")
@click.option("--run-dir", metavar="DIR", help="The hooks' runtime directory; default: the one that they use.")
@click.option(
    "--node",
    metavar="NAME",
    help="This node's name for Slurm; default: SLURMD_NODENAME, the host's name.",
    shell_complete=completion.nodes,
)
@click.option(
    "--role",
    "roles",
    multiple=True,
    type=click.Choice(["node", "login", "controller"]),
    help="What this host is in the cluster; default: found out. May be given again.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the results, format preflight.doctor/1.")
def doctor(
    prefix: str | None, config: str | None, run_dir: str | None, node: str | None, roles: tuple[str, ...], as_json: bool
) -> int:
    """Say what is not right with Preflight on this host, and what to type.

    Looks at policy, slurm.conf, plugin, files and versions, and runs each hook once with nothing to act on. Run it as
    root. Exits with 0 fine, 1 findings, 2 usage.
    """
    from preflight.deploy.doctor.host import gather, installed_prefix
    from preflight.deploy.doctor.run import examine
    from preflight.policy.load import node_name

    if prefix and not os.path.isdir(prefix):
        fail(f"--prefix {prefix}: not a directory")
    host = gather(
        node or node_name(),
        os.path.abspath(prefix or installed_prefix()),
        os.path.abspath(config) if config else None,
        os.path.abspath(run_dir) if run_dir else None,
        frozenset(roles),
    )
    found = examine(host)
    write_out(_json(host, found) if as_json else _page(host, found))
    return 1 if any(one.is_finding for _, results in found for one in results) else 0


def _json(host: Host, found: list[tuple[str, list[Result]]]) -> str:
    from preflight.report.clean import clean_tree

    rows = [{"title": title, **one._asdict()} for title, results in found for one in results]
    counts = {
        status: sum(row["status"] == status for row in rows) for status in ("pass", "warn", "fail", "unknown", "skip")
    }
    data = {
        "format": "preflight.doctor/1",
        "node": host.node,
        "roles": sorted(host.roles),
        "root": host.root,
        "mode": host.policy.mode,
        "counts": counts,
        "results": rows,
    }
    return json.dumps(clean_tree(data, 2000), indent=2)


def _page(host: Host, found: list[tuple[str, list[Result]]]) -> str:
    from preflight.deploy.doctor.page import page

    return page(host, found)
