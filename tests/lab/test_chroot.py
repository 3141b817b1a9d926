"""Slurm of another Debian: what the lab mounts, shows and takes away; only where PREFLIGHT_LAB_RELEASE names one."""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import debian, mounts, places, releases
from lab.chroot import ChrootRelease
from lab.daemons import LabError
from lab.users import account

pytestmark = pytest.mark.lab


@pytest.fixture
def release() -> Iterator[ChrootRelease]:
    chosen = releases.chosen()
    if not isinstance(chosen, ChrootRelease):
        pytest.skip(f"{releases.VARIABLE} names no other release")
    yield chosen
    chosen.close()


@pytest.fixture
def directory() -> Iterator[Path]:
    path = Path(places.temporary())
    path.chmod(0o755)
    yield path
    mounts.unmount_all(str(path))
    subprocess.run(["rm", "-rf", "--one-file-system", str(path)], check=True)


def _says(release: ChrootRelease, *words: str, cwd: Path | None = None, user: str | None = None) -> str:
    command = release.argv(words[0], words[1:], account(user) if user else None)
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=True).stdout


def test_it_is_the_release_that_was_asked_for(release: ChrootRelease) -> None:
    assert ".".join(_says(release, "slurmd", "-V").split()[1].split(".")[:2]) == release.wanted
    assert release.missing() == []
    wrong = ChrootRelease(release.suite, "9.99")
    with pytest.raises(LabError, match=r"has Slurm .*, not 9\.99"):
        wrong.version()
    wrong.close()


def test_the_pid_that_was_started_is_the_program(release: ChrootRelease) -> None:
    process = subprocess.Popen(release.argv("sleep", ["300"], account("pfalice")))
    try:
        for _ in range(500):
            words = Path(f"/proc/{process.pid}/cmdline").read_bytes().split(b"\0")
            if words[0].endswith(b"sleep"):
                break
            subprocess.run(["sleep", "0.01"], check=True)
        assert words[:2] == [b"/usr/bin/sleep", b"300"]
        assert os.stat(f"/proc/{process.pid}").st_uid == pwd.getpwnam("pfalice").pw_uid
    finally:
        process.kill()
        process.wait()


def test_the_directory_is_inside_with_what_is_mounted_below_it_later(release: ChrootRelease, directory: Path) -> None:
    release.prepare(str(directory))
    release.prepare(str(directory / "below"))
    (directory / "spool").mkdir()
    mounts.mount("-t", "tmpfs", "tmpfs", str(directory / "spool"))
    (directory / "spool" / "file").write_text("seen")
    assert _says(release, "cat", str(directory / "spool" / "file")) == "seen"
    assert _says(release, "pwd", cwd=directory) == f"{directory}\n"
    mounts.unmount(str(directory / "spool"))
    assert _says(release, "ls", str(directory / "spool")) == ""


def test_every_mount_is_undone(release: ChrootRelease, directory: Path) -> None:
    before = mounts.at_or_below("/dev"), mounts.at_or_below("/sys"), mounts.at_or_below("/proc")
    release.prepare(str(directory))
    assert any(point.endswith(str(directory)) for point in mounts.at_or_below(str(debian.CACHE)))
    release.release(str(directory))
    assert mounts.at_or_below(str(directory)) == []
    assert not [point for point in mounts.at_or_below(str(debian.CACHE)) if point.endswith(str(directory))]
    assert (mounts.at_or_below("/dev"), mounts.at_or_below("/sys"), mounts.at_or_below("/proc")) == before
    assert Path("/dev/null").is_char_device()


def test_users_have_the_same_ids_inside_and_can_be_switched_to(release: ChrootRelease) -> None:
    for name in ("slurm", "munge", "pfalice", "pfbob"):
        assert _says(release, "id", "-u", name) == _says(release, "id", "-u", user=name)
        assert int(_says(release, "id", "-u", name)) == pwd.getpwnam(name).pw_uid


def test_the_checkout_is_importable_and_read_only(release: ChrootRelease) -> None:
    done = subprocess.run(release.python(["-c", "import preflight; print(preflight.__file__)"]), capture_output=True)
    assert done.stdout.decode().strip() == f"{debian.REPOSITORY}/src/preflight/__init__.py"
    refused = subprocess.run(release.argv("touch", [f"{debian.REPOSITORY}/x"]), capture_output=True, text=True)
    assert "Read-only" in refused.stderr


def test_an_unknown_release_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(releases.VARIABLE, "21.08")
    with pytest.raises(ValueError, match=r"PREFLIGHT_LAB_RELEASE=21\.08: give one of host, 24\.11, 26\.05"):
        releases.chosen()
