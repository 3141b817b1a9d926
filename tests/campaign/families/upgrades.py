"""An installation that changes or breaks while hooks run: modules gone or torn, the whole replaced, paths removed."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from campaign.fault import Fault
from campaign.world import HERE, World

SCENES = ("fit", "misfit", "sick", "health-half-moved")
SOURCE = HERE.parents[1] / "src/preflight"
MODULES = sorted(
    str(path.relative_to(SOURCE))
    for room in ("hooks", "policy", "slurm", "facts", "checks", "report")
    for path in (SOURCE / room).glob("*.py")
)
TOP = ("__main__.py", "start.py", "__init__.py", "bundle.py", "files.py", "jsonio.py", "verdict.py", "tuples.py")
DELAYS_MS = (0, 10, 25, 40, 60, 90, 150, 300, 600, 1000)
TEXTS = {"empty": "", "half": None, "no Python": "def (:\n", "NULs": "\0" * 100}


def faults() -> Iterator[Fault]:
    """Modules that are gone or torn; and what is removed or replaced some time after a hook began."""
    for scene in SCENES:
        for module in (*TOP, *MODULES[:: 1 if scene == "fit" else 5]):
            inject = partial(_installed, change=partial(_gone, module=module), after_ms=0)
            yield Fault("upgrades", f"{module} is gone", scene, inject, breaks=True)
        for module in TOP:
            for name, text in TEXTS.items():
                change = partial(_written, module=module, text=text)
                inject = partial(_installed, change=change, after_ms=0)
                yield Fault("upgrades", f"{module} is {name}", scene, inject, breaks=True)
        for power in range(0, 20, 2):
            inject = partial(_installed, change=partial(_bundle_cut, size=2**power), after_ms=0)
            yield Fault("upgrades", f"the bundle is cut at {2**power}", scene, inject, breaks=True)
        for after in DELAYS_MS:
            for name, change in CHANGES.items():
                inject = partial(_installed, change=change, after_ms=after)
                yield Fault(
                    "upgrades", f"{name} after {after} ms", scene, inject, kills=True, word_lost=True, forgets=True
                )


@contextmanager
def _installed(world: World, change: Callable[[World, Path], object], after_ms: int) -> Iterator[None]:
    """Give the world an installation of its own, and change it while the scene goes on; a sound one comes back."""
    sound = Path(world.assets.main).parents[1]
    lib = world.place / "lib"
    subprocess.run(["cp", "-al", str(sound), str(lib)], check=True)
    world.scripts(str(lib / "preflight/__main__.py"))

    def later() -> None:
        time.sleep(after_ms / 1000)
        change(world, lib)

    thread = threading.Thread(target=later)
    thread.start()
    if not after_ms:
        thread.join()
    yield
    thread.join()
    world.scripts(world.assets.main)
    (world.place / "off").unlink(missing_ok=True)
    if not world.config.exists():
        world.policy()
    world.reports.mkdir(exist_ok=True)


def _no_caches(path: Path) -> None:
    """Leave no compiled form of a module: what is edited, or comes half, is read from its text."""
    shutil.rmtree(path.parent / "__pycache__", ignore_errors=True)
    for bundle in path.parents[1].rglob("modules.bundle"):
        bundle.unlink()


def _gone(world: World, lib: Path, module: str) -> None:
    path = lib / "preflight" / module
    path.unlink()
    _no_caches(path)


def _written(world: World, lib: Path, module: str, text: str | None) -> None:
    path = lib / "preflight" / module
    whole = path.read_text()
    path.unlink()
    path.write_text(whole[: len(whole) // 2] if text is None else text)
    _no_caches(path)


def _bundle_cut(world: World, lib: Path, size: int) -> None:
    for path in lib.rglob("modules.bundle"):
        data = path.read_bytes()
        path.unlink()
        path.write_bytes(data[:size])


def _replaced(world: World, lib: Path) -> None:
    new = lib.with_name("lib.new")
    subprocess.run(["cp", "-al", str(lib), str(new)], check=True)
    shutil.rmtree(lib, ignore_errors=True)
    new.rename(lib)


CHANGES: dict[str, Callable[[World, Path], object]] = {
    "the package is removed": lambda world, lib: shutil.rmtree(lib, ignore_errors=True),
    "the package is replaced": _replaced,
    "the modules are closed": lambda world, lib: os.chmod(lib, 0),
    "the policy is removed": lambda world, lib: world.config.unlink(missing_ok=True),
    "the runtime directory is removed": lambda world, lib: shutil.rmtree(world.run_dir, ignore_errors=True),
    "the spool is removed": lambda world, lib: shutil.rmtree(world.spool, ignore_errors=True),
    "the users' reports are removed": lambda world, lib: shutil.rmtree(world.reports, ignore_errors=True),
    "the kill switch is set": lambda world, lib: (world.place / "off").touch(),
}
