"""The commands of `preflight fleet` that write to the store: who may send and look, and which nodes are no more."""

from __future__ import annotations

import click

from preflight.cli import completion
from preflight.cli.common import fail, write_out
from preflight.cli.stores import opened, store_option
from preflight.hostlist import HostlistError, names


@click.command("token")
@click.argument("name", metavar="NODE")
@store_option
@click.option("--cluster", default="", help="The node's cluster; without it its reports may name any.")
@click.option("--revoke", is_flag=True, help="End all its tokens at once instead.")
def token_(name: str, store_url: str, cluster: str, revoke: bool) -> None:
    """Make a node's token and print it; the one it had before holds for another day."""
    from preflight.fleet import tokens

    store = opened(store_url)
    if revoke:
        write_out(f"{tokens.revoke(store, cluster, name)} tokens of {name} ended")
    else:
        write_out(tokens.make(store, cluster, name))


@click.command("reader")
@click.argument("name", metavar="USER")
@store_option
@click.option("--admin", is_flag=True, help="May see every job; without it only jobs of the user of that name.")
@click.option("--metrics", is_flag=True, help="May ask /metrics, and see nothing else: for Prometheus.")
@click.option("--revoke", is_flag=True, help="End all of the reader's tokens at once instead.")
def reader_(name: str, store_url: str, admin: bool, metrics: bool, revoke: bool) -> None:
    """Make a reader's token for the dashboard of `preflight serve` and print it."""
    from preflight.fleet.pages import access

    store = opened(store_url)
    if revoke:
        write_out(f"{access.revoke(store, name)} tokens of {name} ended")
        return
    if not 0 < len(name) <= access.MAX_NAME or not name.isprintable():
        fail(f"USER: no name of at most {access.MAX_NAME} letters")
    if admin and metrics:
        fail("--admin and --metrics: one of the two")
    write_out(access.make(store, name, "admin" if admin else "metrics" if metrics else "user"))


@click.command("forget")
@click.argument("nodes", metavar="NODES", shell_complete=completion.nodes)
@store_option
@click.option("--cluster", help='Where several clusters have nodes of that name; "" for reports that name none.')
def forget_(nodes: str, store_url: str, cluster: str | None) -> None:
    """Take nodes that are no more out of every list and end their tokens: gpu017, gpu[001-064].

    What became of them stays in jobs, drains and counts of the past. A node that sends a report again is there again.
    """
    from preflight.fleet.forget import forget_nodes, known

    try:
        wanted = names(nodes)
    except HostlistError as error:
        fail(f"NODES: {error}")
    store = opened(store_url)
    found = []
    for name in wanted:
        its = [one for one in known(store, name) if cluster is None or one[0] == cluster]
        if not its:
            fail(f"no report of node {name!r} is in the store; nothing was forgotten")
        if len(its) > 1:
            fail(f"several clusters have a node {name}: --cluster {' or '.join(one or chr(34) * 2 for one, _ in its)}")
        found += its
    forget_nodes(store, found)
    write_out(f"{nodes} forgotten: {len(found)} {'node' if len(found) == 1 else 'nodes'}")


COMMANDS = {one.name: one for one in (token_, reader_, forget_)}
