"""Putting a version's files into the prefix: each one by a rename, and only where it is not as it should be."""

from __future__ import annotations

import os

from preflight.deploy.copy import files_below
from preflight.deploy.layout import CLIENTS, PROGRAMS, Target
from preflight.files import OWN


def activate(target: Target, place: str, dry_run: bool = False, leave: tuple[str, ...] = ()) -> list[str]:
    """Put a version's files into the prefix, those that are not there as they should be; return these.

    ``dry_run``: return them and do nothing. ``leave``: files that are not put there, by their paths below the prefix.
    """
    inside = {name: path for name, path in files_below(f"{place}/files").items() if name not in leave}
    own = all(f"libexec/{name}" in inside for name in PROGRAMS)
    # Programs that are there stay, and ask in the new version's name: the agent answers no other.
    there = target.with_agent and all(os.path.isfile(f"{target.at(target.libexec)}/{name}") for name in PROGRAMS)
    clients = {f"libexec/{name}": hook for hook, name in CLIENTS.items()}
    units = [os.path.relpath(one, target.prefix) for one in (target.agent_unit, target.agent_publish_unit)]
    changed = []
    for name in sorted({*inside, *clients}, key=lambda one: _order(one, one in inside)):
        path = f"{target.at(target.prefix)}/{name}"
        if name in clients and not (name in inside and (own or there)):
            if not os.path.isfile(path):
                continue
            # Left of another installation, and slurm.conf may name it: it is the hook again. A version that has no such
            # client neither answers it nor takes it away.
            text = f"#!/bin/sh\n# The node agent's client is not installed.\nexec {target.libexec}/{clients[name]}\n"
            data, mode = text.encode(), 0o755
        elif name in units and not (own or there):
            continue
        else:
            with open(inside[name], "rb") as file:
                data, mode = file.read(), os.fstat(file.fileno()).st_mode & 0o777
        if not _is(path, data, mode):
            if not dry_run:
                swap(path, data, mode)
            changed.append(path)
    return changed


def _order(name: str, inside: bool) -> tuple[int, str]:
    """The hooks first; a script of the client's after the program that it names; then the command.

    A client's script that is not ``inside`` the version becomes the hook before the program changes.
    """
    steps = [*(f"libexec/{one}" for one in PROGRAMS), *(f"libexec/{one}" for one in CLIENTS.values()), "bin/preflight"]
    if inside and name in steps:
        return steps.index(name) + 1, name
    return (0 if name.startswith("libexec/") else len(steps) + 1), name


def _is(path: str, data: bytes, mode: int) -> bool:
    """Tell whether a path is a file of that content and mode."""
    try:
        descriptor = os.open(path, os.O_RDONLY | OWN)
    except OSError:
        return False
    with open(descriptor, "rb") as file:
        return os.fstat(descriptor).st_mode & 0o7777 == mode and file.read(len(data) + 1) == data


def swap(path: str, data: bytes, mode: int = 0o755) -> None:
    """Replace a file by a rename: a shell that reads the old one goes on reading it."""
    temporary = f"{os.path.dirname(path)}/.{os.path.basename(path)}.{os.getpid()}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode)
    with open(descriptor, "wb") as file:
        file.write(data)
        os.fchmod(descriptor, mode)
        file.flush()
        os.fsync(descriptor)  # an empty script after a power cut would fail each prolog
    os.rename(temporary, path)
