"""What holds for every test: no time limit, nor in hypothesis' own examples (a busy machine fails no test), and
the usual umask, whatever a test before it in this process, or a thread that it left, has set."""

import os

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


@pytest.fixture(autouse=True)
def usual_umask() -> None:
    """Files of a test are as its user would make them."""
    os.umask(0o022)
