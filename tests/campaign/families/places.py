"""Directories that are full, frozen, read-only, gone or somebody else's: spool, runtime directory, users' reports."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from campaign.fault import Fault, NotHere
from campaign.world import World

PLACES = {"the spool": "spool", "the runtime directory": "run", "the users' reports": "reports"}
SCENES = (
    "fit",
    "misfit",
    "misfit-no-requeue",
    "sick",
    "epilog",
    "epilog-sick",
    "health",
    "health-sick",
    "health-well",
    "health-half-moved",
    "health-past-limit",
    "health-waiting",
)


def faults() -> Iterator[Fault]:
    """Every place in every state, in every scene."""
    for place, path in PLACES.items():
        for name, state in STATES.items():
            for scene in SCENES:
                inject = partial(_placed, path=path, state=state)
                gone = name in ("gone", "a file", "a link", "emptied", "away") and place == "the spool"
                lost = gone or (place == "the runtime directory" and "reports" not in path)
                yield Fault(
                    "places", f"{place} is {name}", scene, inject, word_lost=lost, forgets=gone, slow=name == "frozen"
                )


@contextmanager
def _placed(world: World, path: str, state: Callable[[Path], object]) -> Iterator[None]:
    place = world.place / path
    place.mkdir(mode=0o700, exist_ok=True)
    with state(place):  # type: ignore[attr-defined]
        yield


def _mount(*arguments: str) -> None:
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotHere(f"mount: {done.stderr.strip()}")


@contextmanager
def _mounted(place: Path, *options: str) -> Iterator[None]:
    """A file system of its own at ``place``, with what was there."""
    aside = place.with_name(f"{place.name}.aside")
    shutil.copytree(place, aside, symlinks=True)
    _mount(*options, str(place))
    try:
        shutil.copytree(aside, place, symlinks=True, dirs_exist_ok=True)
        place.chmod(aside.stat().st_mode & 0o7777)
        yield
    finally:
        back = place.with_name(f"{place.name}.back")
        with suppress(OSError):
            shutil.copytree(place, back, symlinks=True, ignore=shutil.ignore_patterns("lost+found", "filler*"))
        subprocess.run(["umount", "-l", str(place)], check=False)
        if back.exists():
            shutil.rmtree(place)
            back.rename(place)
            place.chmod(aside.stat().st_mode & 0o7777)
        shutil.rmtree(aside)


@contextmanager
def _full(place: Path) -> Iterator[None]:
    with _mounted(place, "-t", "tmpfs", "-o", "size=2m,mode=0700", "tmpfs"):
        filler = place / "filler"
        with suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(b"x" * 4096)
        yield
        filler.unlink()


@contextmanager
def _no_inodes(place: Path) -> Iterator[None]:
    with _mounted(place, "-t", "tmpfs", "-o", "size=8m,nr_inodes=64,mode=0700", "tmpfs"):
        made = []
        with suppress(OSError):
            for number in range(100):
                made.append(place / f"filler{number}")
                made[-1].touch()
        yield
        for path in made:
            path.unlink(missing_ok=True)


@contextmanager
def _read_only(place: Path) -> Iterator[None]:
    with _mounted(place, "-t", "tmpfs", "-o", "size=8m,mode=0700", "tmpfs"):
        _mount("-o", "remount,ro", str(place))
        try:
            yield
        finally:
            _mount("-o", "remount,rw", str(place))


@contextmanager
def _frozen(place: Path) -> Iterator[None]:
    image = place.with_name(f"{place.name}.image")
    with image.open("wb") as file:
        file.truncate(24 << 20)
    subprocess.run(["mkfs.ext4", "-q", str(image)], check=True)
    with _mounted(place, "-o", "loop", str(image)):
        subprocess.run(["fsfreeze", "-f", str(place)], check=True)
        try:
            yield
        finally:
            subprocess.run(["fsfreeze", "-u", str(place)], check=True)
            time.sleep(0.3)  # what was stuck in it goes on
    image.unlink()


@contextmanager
def _moved(place: Path, instead: Callable[[Path], object] = lambda place: None) -> Iterator[None]:
    """Something else, or nothing, at ``place``; what was there comes back, with what was written meanwhile."""
    aside = place.with_name(f"{place.name}.aside")
    place.rename(aside)
    instead(place)
    yield
    if place.is_symlink() or not place.is_dir():
        place.unlink(missing_ok=True)
    if place.is_dir():
        shutil.copytree(place, aside, symlinks=True, dirs_exist_ok=True)
        shutil.rmtree(place)
    aside.rename(place)


def _elsewhere(place: Path) -> None:
    (place.parent / "elsewhere").mkdir(mode=0o700)
    place.symlink_to(place.parent / "elsewhere")


@contextmanager
def _emptied(place: Path) -> Iterator[None]:
    for path in place.iterdir():
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    yield


@contextmanager
def _mode(place: Path, mode: int) -> Iterator[None]:
    before = place.stat().st_mode & 0o7777
    place.chmod(mode)
    yield
    if place.exists():
        place.chmod(before)


@contextmanager
def _foreign(place: Path) -> Iterator[None]:
    os.chown(place, 4242, 4242)
    yield
    if place.exists():
        os.chown(place, 0, 0)


STATES: dict[str, Callable[[Path], object]] = {
    "full": _full,
    "out of inodes": _no_inodes,
    "read-only": _read_only,
    "frozen": _frozen,
    "away": _moved,
    "a file": partial(_moved, instead=lambda place: place.write_text("x")),
    "a link": partial(_moved, instead=_elsewhere),
    "a dangling link": partial(_moved, instead=lambda place: place.symlink_to("/nonexistent/there")),
    "a FIFO": partial(_moved, instead=os.mkfifo),
    "emptied": _emptied,
    "open to all": partial(_mode, mode=0o777),
    "closed": partial(_mode, mode=0o000),
    "somebody else's": _foreign,
}
