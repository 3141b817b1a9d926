"""A file system whose server hangs, is slow, lies or dies, through FUSE: whom it holds is held as by a dead server."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from campaign.fault import Fault, NotHere
from campaign.world import HERE, World

TESTS = HERE.parent
READS = ("stat", "open", "read", "list")
WRITES = ("create", "write", "close", "fsync", "rename", "unlink", "mkdir", "chmod", "chown", "truncate")
# Which part of the world stands on it, what is done there, in which scenes; whether a hook opens it by itself.
PLACES: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "the spool": ("spool", (*READS, *WRITES), ("fit", "misfit", "sick", "epilog", "health", "health-half-moved")),
    "the users' reports": ("reports", ("stat", *WRITES), ("fit", "epilog", "misfit", "health-waiting")),
    "the runtime directory": ("run", (*READS, *WRITES), ("fit", "first", "misfit", "sick", "health-sick")),
    "the policy": ("policy", READS, ("fit", "changed", "misfit", "sick", "health-sick")),
    "the node's root": ("root", READS, ("first", "health")),
    "Slurm's commands": ("ctl", ("stat", "open", "read"), ("misfit", "sick", "health-half-moved")),
    "a mount that jobs need": ("scratch", ("stat", "statfs", "list", "open"), ("fit", "health")),
}
ERRORS = ("EIO", "ESTALE", "ENOSPC", "EDQUOT", "EROFS", "ETIMEDOUT", "ENOTCONN", "EACCES", "EINTR")
MODES = (
    *((f"fails with {name}", "errno", getattr(errno, name)) for name in ERRORS),
    ("hangs", "hang", 0),
    ("hangs for all from then on", "stalls", 0),
    ("is 700 ms late", "slow", 700),
    ("ends its server", "dies", 0),
)
LIES = {"read": ("short", "garbage"), "write": ("short", "garbage", "success"), "list": ("short",)}
LIES.update(rename=("success",), unlink=("success",))
MOUNT_S = 20.0


def faults() -> Iterator[Fault]:
    """Each operation on each place, failing in each way, once or each time."""
    for place, (path, ops, scenes) in PLACES.items():
        for scene in scenes:
            for op in ops:
                lies = [(f"is {mode}" if mode != "success" else "only says so", mode, 0) for mode in LIES.get(op, ())]
                for said, mode, argument in (*MODES, *lies):
                    for nth in (0, 1) if mode in ("errno", "slow", "short", "garbage", "success") else (1, 3):
                        rule = {"ops": [op], "glob": "*", "nth": nth, "mode": mode, "argument": argument}
                        yield _fault(place, path, scene, f"{op} {nth or 'each'}", said, rule)


def _fault(place: str, path: str, scene: str, when: str, said: str, rule: dict[str, object]) -> Fault:
    lost = path in ("spool", "run") and rule["mode"] in ("garbage", "success", "short", "dies")
    return Fault(
        "servers",
        f"{place}: {when} {said}",
        scene,
        partial(_served, path=path, rule=rule),
        kills=path == "run" and rule["mode"] in ("hang", "stalls", "slow"),
        held=path in ("policy", "spool", "root", "ctl") and rule["mode"] in ("hang", "stalls", "slow"),
        unwritable=path in ("spool", "run") and rule["mode"] in ("garbage", "success"),
        slow=rule["mode"] in ("hang", "stalls", "slow"),
        word_lost=lost,
        forgets=lost,
        # A disk that the site expects, and that does not answer, is what it asked to be told.
        moves=path in ("root", "scratch"),
        drains=path in ("root", "scratch"),
    )


@contextmanager
def _served(world: World, path: str, rule: dict[str, object]) -> Iterator[None]:
    if path == "policy":
        _policy_apart(world)
    if path == "scratch":
        (world.place / path).mkdir()
        world.policy(f'[[expect]]\nrequire = "mount={world.place}/{path}"\n')
    place = world.place / path
    place.mkdir(mode=0o700, exist_ok=True)

    # A health check has seen where things stand before it fails; only a scene of a node that has just come up has not.
    def seen() -> None:
        if world.run_dir.exists():
            world.hook("healthcheck")

    with mounted(world.place, place, rule, seen) as hit:
        yield
        struck = hit.read_text().splitlines() if hit.exists() else []
    if path == "scratch":
        world.policy()
    if not struck:
        raise NotHere("no hook of the scene does that")
    world.notes.append(struck[0])


def _policy_apart(world: World) -> None:
    """Give the policy and its drop-ins a directory of their own."""
    apart = world.place / "policy"
    apart.mkdir()
    for name in ("p.toml", "p.d"):
        (world.place / name).rename(apart / name)
    world.config = apart / "p.toml"
    world.scripts(world.assets.main)


@contextmanager
def mounted(watch: Path, place: Path, rule: dict[str, object], prepare: Callable[[], object]) -> Iterator[Path]:
    """Have ``place`` served through FUSE, by what fails as ``rule`` says once ``prepare`` has run.

    Yields the file of what it befell.
    """
    if not os.path.exists("/dev/fuse"):
        raise NotHere("no /dev/fuse")
    backing = place.with_name(f"{place.name}.backing")
    place.rename(backing)
    place.mkdir(mode=backing.stat().st_mode & 0o7777)
    command = [sys.executable, "-m", "campaign.faulty_fs", str(backing), str(place), str(watch), json.dumps(rule)]
    server = subprocess.Popen(command, cwd=TESTS, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        until = time.monotonic() + MOUNT_S
        while not os.path.ismount(place):
            if server.poll() is not None or time.monotonic() > until:
                assert server.stderr is not None
                raise NotHere(f"FUSE cannot be mounted here: {server.stderr.read().strip()[:200]}")
            time.sleep(0.02)
        prepare()
        (watch / "armed").touch()
        yield watch / "hit"
    finally:
        server.kill()  # whom it held goes on, with an error
        server.wait()
        assert server.stderr is not None
        server.stderr.close()
        subprocess.run(["umount", "-l", str(place)], check=False, capture_output=True)
        time.sleep(0.1)
        for name in ("armed", "hit"):
            (watch / name).unlink(missing_ok=True)
        shutil.rmtree(place, ignore_errors=True)
        backing.rename(place)
