"""The stores that every test of the fleet runs on."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fleet.server import Postgres, programs
from preflight.fleet.store.interface import Store
from preflight.fleet.store.open import open_store

MakeUrl = Callable[[], str]


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    if programs() is None:
        pytest.skip("no PostgreSQL server is installed")
    with Postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty store."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/fleet.db"
        return
    server: Postgres = request.getfixturevalue("postgres")
    with server.database() as name:
        yield name


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    opened = open_store(url)
    try:
        yield opened
    finally:
        opened.close()
