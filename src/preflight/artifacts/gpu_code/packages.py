"""To which package a file belongs: by the RECORD of installed wheels, by conda's list of files, by its folder."""

import csv
import json
import os
from typing import NamedTuple

from preflight.artifacts.gpu_code.places import Tree, may_hold_code
from preflight.files import read_plain

_INFO = ".dist-info"
_LISTED = 32 << 20  # bytes of one list of files
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


def installed(found: Tree) -> dict[str, Owner]:
    """Return the files beneath a directory that packages list and that may hold code; damaged lists are left out."""
    owners: dict[str, Owner] = {}
    done = ""  # the site-packages that is read: what its packages bring along are not installed ones
    for directory, names in found.directories:
        folder = os.path.basename(directory)
        if done and directory.startswith(done) and os.path.join(os.path.dirname(directory), "") != done:
            continue
        base = os.path.relpath(os.path.dirname(directory), found.path).replace(os.sep, "/")
        if folder in _FOLDERS:
            done = os.path.join(directory, "")
        elif folder == "conda-meta":
            for name in names:
                if name.endswith(".json"):
                    _conda(os.path.join(directory, name), base, owners)
        elif folder.endswith(_INFO) and "RECORD" in names:
            _record(os.path.join(directory, "RECORD"), base, of_name(folder), owners)
    return owners


def _record(path: str, base: str, owner: Owner, found: dict[str, Owner]) -> None:
    try:
        text = read_plain(path, _LISTED).decode("utf-8", "replace")
        for row in csv.reader(text.splitlines()):
            if row and may_hold_code(row[0]):
                found[_joined(base, row[0])] = owner
    except (OSError, csv.Error):
        return


def _conda(path: str, base: str, found: dict[str, Owner]) -> None:
    try:
        value = json.loads(read_plain(path, _LISTED))
        owner = Owner(str(value["name"]), str(value.get("version", "")))
        files = value["files"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return
    for name in files if isinstance(files, list) else ():
        if isinstance(name, str) and may_hold_code(name):
            found.setdefault(_joined(base, name), owner)


def _joined(base: str, name: str) -> str:
    return os.path.normpath(os.path.join(base, name)).replace(os.sep, "/")
