"""Root reads users' copies as their owners: a child becomes the user, root opens nothing of theirs."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from preflight.cli.report import report as command
from preflight.report import store
from preflight.report.as_owner import read_as
from preflight.report.find import ReportPlaces, find, parse_job
from report_samples import report

USER = 65534
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that users can pass."""
    made = Path(tempfile.mkdtemp(prefix="preflight-owner-", dir="/tmp"))
    made.chmod(0o755)
    (made / "reports").mkdir(mode=0o755)
    yield made
    shutil.rmtree(made)


def config(place: Path) -> str:
    path = place / "preflight.toml"
    path.write_text(f'version = 1\nmode = "observe"\n[report]\nspool = "{place}/spool"\ndir = "{place}/reports"\n')
    return str(path)


def test_root_on_the_controller_reads_the_copies_as_the_jobs_owner(place: Path) -> None:
    store.write_copy(str(place / "reports"), report(), USER, -1)
    done = CliRunner().invoke(command, ["42", "--config", config(place)])
    assert done.exit_code == 0
    assert "Preflight report: job 42" in done.stdout
    assert "1 of the reports are read as nobody, from copies that this user may have changed" in done.stderr
    assert "left out" not in done.stderr
    assert os.geteuid() == 0


def test_what_is_on_record_counts_before_a_users_copy(place: Path) -> None:
    (place / "spool").mkdir(mode=0o700)
    store.write_spool(str(place / "spool"), report(verdict="unhealthy"))
    store.write_copy(str(place / "reports"), report(), USER, -1)
    done = CliRunner().invoke(command, ["42", "--config", config(place)])
    assert "UNHEALTHY" in done.stdout
    assert "read as" not in done.stderr


def test_a_copy_that_leads_elsewhere_is_not_followed_by_anybody(place: Path) -> None:
    secret = place / "secret.json"
    secret.write_bytes(store.encode(report()))
    secret.chmod(0o600)
    path = Path(store.write_copy(str(place / "reports"), report(), USER, -1))
    path.unlink()
    path.symlink_to(secret)
    os.chown(path, USER, -1, follow_symlinks=False)
    places = ReportPlaces(str(place / "spool"), str(place / "reports"))
    assert find(places, parse_job("42")).reports == []
    assert read_as(USER, places, parse_job("42")) == ([], False)


def test_a_user_cannot_read_what_only_root_can(place: Path) -> None:
    store.write_copy(str(place / "reports"), report(), 0, -1)
    places = ReportPlaces(str(place / "spool"), str(place / "reports"))
    assert read_as(USER, places, parse_job("42")) == ([], False)
