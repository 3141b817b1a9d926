"""`preflight install` of one checkout into many labs: ``python installing.py KEPT ARGUMENT...``.

What an installation copies, compiles and builds is left in the directory KEPT, and one that finds it there takes it.
All else is done as ever; what that leaves out is what test_install.py and the unit tests of preflight.deploy are about.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from preflight.deploy import build, install
from preflight.start import main


def _copies(kept: Path, copy: Callable[[str, str], None]) -> Callable[[str, str], None]:
    def copy_package(lib: str, named: str = "") -> None:
        if kept.exists():
            os.makedirs(os.path.dirname(lib), exist_ok=True)
            os.rename(kept, lib)
        else:
            copy(lib, named)
            shutil.copytree(lib, kept, symlinks=True)

    return copy_package


def _builds(kept: Path, make: Callable[[], dict[str, bytes]]) -> dict[str, bytes]:
    if not kept.exists():
        kept.mkdir()
        for name, data in make().items():
            (kept / name).write_bytes(data)
    return {file.name: file.read_bytes() for file in kept.iterdir()}


def keep_in(kept: Path) -> None:
    """Have installations of this process take from ``kept`` what is there, and leave there what is not."""
    plugin, clients = build.plugin, build.clients
    install.copy_package = _copies(kept / "lib", install.copy_package)
    build.plugin = lambda source, cppflags="": _builds(kept / "plugin", lambda: {"so": plugin(source, cppflags)})["so"]
    build.clients = lambda source: _builds(kept / "clients", lambda: clients(source))


if __name__ == "__main__":
    keep_in(Path(sys.argv.pop(1)))
    sys.exit(main())
