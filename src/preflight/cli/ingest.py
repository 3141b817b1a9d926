"""`preflight ingest`: reports of a directory into the store."""

import time

import click

from preflight.cli.common import fail, write_out
from preflight.cli.stores import NEEDS, opened, store_option


@click.command()
@click.argument("directory", type=click.Path(exists=True, file_okay=False))
@store_option
@click.option("--follow", is_flag=True, help="Go on: look again every --every seconds.")
@click.option("--every", default=10.0, show_default=True, type=click.FloatRange(0.1, 86400), metavar="SECONDS")
def ingest(directory: str, store_url: str, follow: bool, every: float) -> None:
    """Put the reports below DIRECTORY into the store, each once.

    For sites without a collector on the network: DIRECTORY is shared, and only root on the nodes may write there.
    """
    try:
        from preflight.fleet.folder import Seen, take
        from preflight.fleet.store.interface import StoreError
    except ImportError as error:
        fail(f"{error.name} is not installed: {NEEDS}")
    store = opened(store_url)
    seen: Seen = {}
    try:
        while True:
            try:
                taken = take(store, directory, seen, round(time.time() * 1000))
            except (StoreError, OSError) as error:
                if not follow:
                    fail(str(error))
                click.echo(f"preflight: {error}; trying again in {every:g} s", err=True)
            else:
                if taken.files or not follow:
                    write_out(f"{taken.files} reports read, {taken.new} new, {taken.refused} refused")
            if not follow:
                return
            time.sleep(every)
    finally:
        store.close()
