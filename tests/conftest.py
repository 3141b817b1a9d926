"""What holds for every test: no time limit, nor in hypothesis' own examples (a busy machine fails no test), and
the usual umask, whatever a test before it in this process, or a thread that it left, has set."""

import functools
import inspect
import os

import click.testing
import pytest
from hypothesis import HealthCheck, settings

from times import (  # noqa: F401  pytest's hooks
    pytest_collection_finish,
    pytest_runtest_logreport,
    pytest_runtest_makereport,
    pytest_sessionfinish,
)

settings.register_profile("preflight", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("preflight")

if "mix_stderr" in inspect.signature(click.testing.CliRunner.__init__).parameters:  # Click 8.1, Python 3.9's last
    _made = click.testing.CliRunner.__init__

    def _apart(self: click.testing.CliRunner, *arguments: object, **named: object) -> None:
        _made(self, *arguments, **{"mix_stderr": False, **named})

    click.testing.CliRunner.__init__ = _apart
    # It flushes stdout alone before it reads what was written.
    _wrapper = click.testing._NamedTextIOWrapper
    _wrapper.__init__ = functools.partialmethod(_wrapper.__init__, write_through=True)
    click.testing.Result.output = property(lambda self: self.stdout + self.stderr)


@pytest.fixture(autouse=True)
def usual_umask() -> None:
    """Files of a test are as its user would make them."""
    os.umask(0o022)
