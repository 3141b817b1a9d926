"""What the commands of the fleet share: the store's option."""

from collections.abc import Callable
from typing import TypeVar

import click

from preflight.cli.common import fail
from preflight.cli.fleet import NEEDS
from preflight.fleet.store.interface import Reader, Store, StoreError
from preflight.fleet.store.open import open_reader, open_store

__all__ = ["NEEDS", "asked", "opened", "store_option"]

T = TypeVar("T")

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


def opened(url: str, alone: bool = False) -> Store:
    """Return the store at ``url`` for writing, made where it is missing; ends with exit code 2 where it cannot be.

    ``alone``: this process has claimed it.
    """
    return _one(lambda its: open_store(its, alone=alone), url)


def asked(url: str) -> Reader:
    """Return the store at ``url`` for questions; ends with exit code 2 where it cannot be opened."""
    return _one(open_reader, url)


def _one(opener: Callable[[str], T], url: str) -> T:
    try:
        return opener(url)
    except StoreError as error:
        return fail(f"--store: {error}")
    except ImportError as error:
        return fail(f"{error.name} is not installed: {NEEDS}")
