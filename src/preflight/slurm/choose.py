"""Which back end reads the cluster: pyslurm, where it is installed and of the controller's release, else the commands.

libslurm ends the process where it finds no configuration, and misreads a controller of another release. So pyslurm
is imported only after a command has reached the controller, and the releases are the same.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module

from preflight.slurm.by_commands import ByCommands
from preflight.slurm.commands import Slurm, SlurmError, lines

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

    from preflight.slurm.cluster import BackEnd

KNOWN = "25.11"  # the pyslurm whose attributes by_pyslurm.py reads; each Slurm release has its own
VERSION_KEY = "SLURM_VERSION"


def choose(slurm: Slurm) -> BackEnd:
    """Return the back end for the cluster of ``slurm``; never raises. With --debug the reason is told."""
    commands = ByCommands(slurm)
    version = _installed()
    if not version:
        return commands
    try:
        if _release(version) != KNOWN:
            raise SlurmError(f"it is of Slurm {_release(version)}, and Preflight reads that of {KNOWN}")
        running = controller_release(slurm)
        if _release(running) != KNOWN:
            raise SlurmError(f"the cluster runs Slurm {running}")
        module = _import(slurm.conf)
    except Exception as error:
        tell(f"pyslurm {version} is not used: {error}")
        return commands
    from preflight.slurm.by_pyslurm import ByPyslurm

    tell(f"reading by pyslurm {version}")
    return ByPyslurm(module, commands, tell)


def tell(text: str) -> None:
    """Say what only --debug shows."""
    from logging import getLogger

    getLogger("preflight.slurm").debug("%s", text)


def controller_release(slurm: Slurm) -> str:
    """Return the release of the controller, such as "24.11.5"; raises SlurmError where it does not answer."""
    for line in lines(slurm.run("scontrol", "show", "config")):
        key, equals, said = line.partition("=")
        if equals and key.strip() == VERSION_KEY:
            return said.strip()
    raise SlurmError(f"scontrol show config said no {VERSION_KEY}")


def _installed() -> str:
    """Return pyslurm's version without importing it, "" where it is not installed."""
    from importlib.util import find_spec

    try:
        if find_spec("pyslurm") is None:
            return ""
        from importlib.metadata import version

        return version("pyslurm")
    except (ImportError, ValueError):  # no distribution of that name, or a module that says nothing of itself
        return ""


def _release(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _import(conf: str) -> Any:
    """Import pyslurm, which reads slurm.conf while it is imported; what it changes in this process is put back."""
    before, flags = os.environ.get("SLURM_CONF"), getattr(sys, "getdlopenflags", int)()
    if conf:
        os.environ["SLURM_CONF"] = conf
    try:
        module = import_module("pyslurm")
        if os.environ.get("PYSLURM_DISABLE_AUTO_INIT"):
            module.slurm_init()  # else its first call ends the process
        return module
    finally:
        if before is not None:
            os.environ["SLURM_CONF"] = before
        elif conf:
            del os.environ["SLURM_CONF"]
        if hasattr(sys, "setdlopenflags"):
            sys.setdlopenflags(flags)
