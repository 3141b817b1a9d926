"""Where a store on SQLite lies, and that one collector has it for itself."""

import subprocess
import sys
from pathlib import Path

import pytest

from fleet.collector import Collector, free_port
from preflight.fleet.store import place
from preflight.fleet.store.interface import StoreError
from preflight.fleet.store.open import open_store

MOUNTS = r"""/dev/sda1 / ext4 rw 0 0
server:/home /home nfs4 rw 0 0
/dev/sdb1 /home/local\040disk xfs rw 0 0
server:/x /srv nfs rw 0 0
/dev/sdc1 /srv ext4 rw 0 0
sshfs /mnt fuse.sshfs rw 0 0
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/lib/fleet.db", ""),
        ("/home/alice/fleet.db", "nfs4"),
        ("/home/local disk/fleet.db", ""),
        ("/homely/fleet.db", ""),
        ("/srv/fleet.db", ""),
        ("/mnt/fleet.db", "fuse.sshfs"),
    ],
)
def test_a_network_file_system_is_named(tmp_path: Path, path: str, kind: str) -> None:
    (tmp_path / "mounts").write_text(MOUNTS)
    assert place.network(f"sqlite:///{path}", f"{tmp_path}/mounts") == kind
    assert place.network("postgresql://somewhere/fleet", f"{tmp_path}/mounts") == ""


def test_a_second_collector_on_one_sqlite_store_is_refused_in_one_line(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/fleet.db"
    first = Collector(url).start()
    command = [sys.executable, "-m", "preflight", "serve", "--store", url, "--listen", f"127.0.0.1:{free_port()}"]
    try:
        second = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert second.returncode == 2
        assert "another `preflight serve` (process " in second.stderr
        assert second.stderr.count("\n") == 1
    finally:
        first.kill()
    store = open_store(url)
    place.claim(url)  # a collector that was killed holds nothing
    with pytest.raises(StoreError, match="another `preflight serve`"):
        place.claim(url)
    store.close()


def test_several_collectors_share_postgresql() -> None:
    assert place.claim("postgresql://somewhere/fleet") is None
