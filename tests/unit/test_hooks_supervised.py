"""A hook whose own files may hold it is judged by a child, which its parent does not wait for.

What hangs for good is in the campaign's family "servers" (tests/unit/test_campaign.py plays some of it).
"""

import os
import signal
import time
from pathlib import Path

import pytest

from preflight.facts import mounted
from preflight.hooks import supervised
from unit.hook_site import Site

MOUNTS = """\
22 1 8:1 / / rw - ext4 /dev/sda1 rw
23 22 0:20 / /run rw shared:2 - tmpfs tmpfs rw
24 22 0:30 / /shared rw - fuse.glusterfs server:/v rw
25 24 8:2 / /shared/local rw - xfs /dev/sdb rw
26 22 0:31 / /with\\040blank rw - nfs4 server:/x rw
27 22 0:32 / /over rw - ext4 /dev/sdc rw
28 27 0:33 / /over rw - gpfs gpfs0 rw
29 22
"""


@pytest.fixture
def mounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mountinfo").write_text(MOUNTS)
    monkeypatch.setattr(mounted, "MOUNTS", str(tmp_path / "mountinfo"))


@pytest.mark.usefixtures("mounts")
@pytest.mark.parametrize(
    ("path", "holds"),
    [
        ("/etc/preflight/preflight.toml", False),
        ("/run/preflight", False),
        ("/shared", True),
        ("/shared/etc/preflight.toml", True),
        ("/shared/local/spool", False),
        ("/sharedby/none", False),
        ("/with blank/etc", True),
        ("/over/x", True),
    ],
)
def test_what_stands_on_a_server(path: str, holds: bool) -> None:
    assert mounted.may_hold(path, follow=False) is holds


@pytest.mark.usefixtures("mounts")
def test_links_are_followed_to_a_server(tmp_path: Path) -> None:
    (tmp_path / "p.toml").symlink_to("/shared/etc/p.toml")
    assert mounted.may_hold(str(tmp_path / "p.toml"))
    assert not mounted.may_hold(str(tmp_path / "p.toml"), follow=False)
    supervised.mark(str(tmp_path), "n1", [str(tmp_path / "p.toml")])
    (tmp_path / "policy-n1.json").touch()
    assert supervised.is_needed(str(tmp_path), "n1")
    supervised.mark(str(tmp_path), "n1", ["/etc", ""])
    assert not supervised.is_needed(str(tmp_path), "n1")


@pytest.mark.parametrize(
    ("hook", "code"),
    [
        (lambda: 0, 0),
        (lambda: 10, 10),
        (lambda: 1 // 0, supervised.NOT_JUDGED),
        (lambda: os.kill(os.getpid(), signal.SIGKILL) or 0, 128 + signal.SIGKILL),
    ],
)
def test_how_a_child_ended_is_how_the_hook_ended(hook: object, code: int, tmp_path: Path) -> None:
    until = time.monotonic() + 5
    assert supervised.supervised("prolog", str(tmp_path), "n1", until, hook) == code  # type: ignore[arg-type]


def test_one_that_does_not_end_is_not_waited_for_nor_joined_by_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whom no signal ends looks, to its parent, like a child that it may not kill."""
    monkeypatch.setattr(supervised, "SIGNAL", 0)
    pids = tmp_path / "pid"

    def hook() -> int:
        pids.write_text(str(os.getpid()))
        signal.setitimer(signal.ITIMER_REAL, 0)
        time.sleep(600)
        return 0

    ended = supervised.supervised("prolog", str(tmp_path), "n1", time.monotonic() + 0.2, hook)
    pid = int(pids.read_text())
    try:
        assert ended == supervised.ENDED_BY_ALARM
        pids.unlink()
        again = supervised.supervised("prolog", str(tmp_path), "n1", time.monotonic() + 0.2, hook)
        assert (again, pids.exists()) == (supervised.NOT_JUDGED, False)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    assert supervised.supervised("prolog", str(tmp_path), "n1", time.monotonic() + 5, lambda: 0) == 0


def test_a_usual_node_is_supervised_once(hooked: Site) -> None:
    assert supervised.is_needed(str(hooked.run_dir), "n1")
    hooked.hook("prolog")
    assert not supervised.is_needed(str(hooked.run_dir), "n1")
