"""To which package a file belongs: by the RECORD of installed wheels, by conda's list of files, by its folder."""

from __future__ import annotations

import csv
import json
import os
from typing import NamedTuple

from preflight.artifacts.gpu_code.places import Tree, may_hold_code
from preflight.artifacts.gpu_code.window import in_time
from preflight.facts.arch import ELF_MACHINES
from preflight.files import read_plain

_INFO = ".dist-info"
_LISTED = 32 << 20  # bytes of one list of files
_SHORT = 64 << 10  # of a file WHEEL
_FOLDERS = ("site-packages", "dist-packages")


class Owner(NamedTuple):
    """A package; ``version`` "" where it is not known."""

    name: str
    version: str = ""


def by_folder(name: str) -> Owner:
    """Return the folder that a file of nobody's lies in: the first beneath site-packages, else the first of all."""
    parts = name.split("/")
    for folder in _FOLDERS:
        if folder in parts[:-1]:
            parts = parts[parts.index(folder) + 1 :]
    return Owner(parts[0] if len(parts) > 1 else name)


def of_name(info: str) -> Owner:
    """Return the package of "ctranslate2-4.8.5.dist-info", or of a wheel's name."""
    name, _, rest = info.removesuffix(_INFO).removesuffix(".whl").partition("-")
    return Owner(name.replace("_", "-"), rest.partition("-")[0])


def tags_of(name: str) -> tuple[str, ...]:
    """Return the platforms that a wheel's name says (manylinux_2_28_x86_64), () of "any"."""
    return tuple(one for one in name.removesuffix(".whl").rpartition("-")[2].split(".") if one != "any")


def machine_of(tag: str) -> str:
    """Return the machine of a wheel's platform or of conda's subdir (linux-64), "" of one that names none."""
    if tag.startswith("linux-"):
        return {"64": "x86_64"}.get(tag[6:], tag[6:])
    return next((one for one in ELF_MACHINES.values() if one and tag.endswith(f"_{one}")), "")


def installed(found: Tree, deadline: float | None = None) -> tuple[dict[str, Owner], set[str]]:
    """Return the files beneath a directory that packages list and that may hold code, and the packages' platforms.

    Damaged lists are left out. Raises Late where it takes until ``deadline`` (of time.monotonic).
    """
    owners: dict[str, Owner] = {}
    tags: set[str] = set()
    done = ""  # the site-packages that is read: what its packages bring along are not installed ones
    for directory, names in found.directories:
        in_time(found.path, deadline)
        folder = os.path.basename(directory)
        if done and directory.startswith(done) and os.path.join(os.path.dirname(directory), "") != done:
            continue
        base = os.path.relpath(os.path.join(directory, os.pardir), found.path).replace(os.sep, "/")
        if folder in _FOLDERS:
            done = os.path.join(directory, "")
        elif folder == "conda-meta":
            for name in names:
                in_time(found.path, deadline)
                if name.endswith(".json"):
                    _conda(os.path.join(directory, name), base, owners, tags)
        elif folder.endswith(_INFO) and "RECORD" in names:
            _record(os.path.join(directory, "RECORD"), base, of_name(folder), owners, deadline)
            tags.update(_tags(os.path.join(directory, "WHEEL")) if "WHEEL" in names else ())
    return owners, tags


def _tags(path: str) -> list[str]:
    try:
        lines = read_plain(path, _SHORT).decode("utf-8", "replace").splitlines()
    except OSError:
        return []
    return [tag for line in lines if line.startswith("Tag:") for tag in tags_of(line.strip())]


def _record(path: str, base: str, owner: Owner, found: dict[str, Owner], deadline: float | None) -> None:
    try:
        text = read_plain(path, _LISTED).decode("utf-8", "replace")
        for row in csv.reader(text.splitlines()):
            in_time(path, deadline)
            if row and may_hold_code(row[0]):
                found[_joined(base, row[0])] = owner
    except (OSError, csv.Error):
        return


def _conda(path: str, base: str, found: dict[str, Owner], tags: set[str]) -> None:
    try:
        value = json.loads(read_plain(path, _LISTED))
        owner = Owner(str(value["name"]), str(value.get("version", "")))
        files = value["files"]
        tags |= {str(value["subdir"])} - {"noarch"} if "subdir" in value else set()
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return
    for name in files if isinstance(files, list) else ():
        if isinstance(name, str) and may_hold_code(name):
            found.setdefault(_joined(base, name), owner)


def _joined(base: str, name: str) -> str:
    return os.path.normpath(os.path.join(base, name)).replace(os.sep, "/")
