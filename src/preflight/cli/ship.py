"""`preflight ship`: this node's finished reports to the collector."""

from __future__ import annotations

import click

from preflight.cli.common import config_option, fail, policy_for, secret_of, write_out
from preflight.cli.fleet import NEEDS


@click.command()
@click.option("--quiet", is_flag=True, help="Say nothing where all went well (a timer).")
@config_option
def ship(quiet: bool, config: str | None) -> None:
    """Send what waits in the spool to the collector that the policy's [ship] names, and forget what it has.

    A report counts as sent when the collector has it on disk. What cannot be sent waits: exit code 2.
    """
    try:
        from preflight.fleet.ship.send import ShipError, Shipper
    except ImportError as error:
        fail(f"{error.name} is not installed: {NEEDS}")
    from preflight.hooks.turn import turn
    from preflight.policy.load import node_name
    from preflight.report import queue

    policy = policy_for(config, node_name())
    if not policy.ship.url:
        fail(f"{policy.path or 'the policy'}: [ship] url is not set: nothing is shipped")
    make = "make a token on the collector with `preflight fleet token NODE`"
    token = secret_of(policy.ship.token_file, make)
    try:
        with turn(policy.report.spool, "ship") as mine:
            if not mine:
                write_out("nothing to do: another preflight ship sends what waits")
                return
            shipped = Shipper(policy.ship.url, token, policy.ship.ca_file).drain(policy.report.spool)
    except ShipError as error:
        fail(f"{error}; {len(queue.waiting(policy.report.spool))} reports wait")
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}")
    for reason in shipped.reasons[:5]:
        click.echo(f"preflight: refused: {reason}", err=True)
    dropped = queue.dropped_so_far(policy.report.spool)
    more = f", {dropped} dropped so far because the queue was full" if dropped else ""
    if not quiet or shipped.refused:
        write_out(f"sent {shipped.sent} reports, {shipped.refused} of them refused{more}")
