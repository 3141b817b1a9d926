"""What the commands of the fleet share: the store's option."""

import click

from preflight.cli.common import fail
from preflight.cli.fleet import NEEDS
from preflight.fleet.store.interface import Store, StoreError
from preflight.fleet.store.open import open_store

__all__ = ["NEEDS", "opened", "store_option"]

DEFAULT = "sqlite:////var/lib/preflight/fleet.db"

store_option = click.option(
    "--store",
    "store_url",
    default=DEFAULT,
    envvar="PREFLIGHT_STORE",
    show_default=True,
    metavar="URL",
    help="sqlite:///PATH or postgresql://…; also PREFLIGHT_STORE.",
)


def opened(url: str, make: bool = False) -> Store:
    """Return the store at ``url``; ends with exit code 2 where it cannot be opened. ``make``: also a new one."""
    try:
        return open_store(url, make)
    except StoreError as error:
        return fail(f"--store: {error}")
    except ImportError as error:
        return fail(f"{error.name} is not installed: {NEEDS}")
