"""The site's own checks that a policy knows of: files of [site] directory, entry points of installed packages.

On the hook's path only where there are any.
"""

from __future__ import annotations

import os
import stat
import sys

from preflight.policy.files import identity
from preflight.tuples import NamedTuple

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

    from preflight.policy.model import Policy

GROUP = "preflight.checks"
MAX_FILES = 64
MAX_BYTES = 1 << 20


class SiteFile(NamedTuple):
    """Where checks of the site stand: a file, or of an entry point ``module:attribute`` in the directory ``path``.

    ``problem``: why it is not run, "" where it is.
    """

    path: str
    entry: str = ""
    problem: str = ""

    @property
    def name(self) -> str:
        """Return what findings about it call it."""
        return self.entry or os.path.basename(self.path)


def site_files(policy: Policy) -> list[SiteFile]:
    """Return the site's files in order of name, then its entry points; [] where it has none. Never raises."""
    found = [SiteFile(path, problem=refused(path)) for path in _paths(policy.site.directory)]
    points = policy.site_points if policy.site_points is not None else entry_points(policy)
    for directory, entry in points:
        found.append(SiteFile(directory, entry, _refused(directory)))
    return found


def any_files(policy: Policy) -> bool:
    """Return whether there may be checks of the site: a system call, and most nodes have none."""
    return policy.site_points != () or os.path.isdir(policy.site.directory)


def _paths(directory: str) -> list[str]:
    try:
        names = os.listdir(directory)
    except OSError:
        return []
    mine = sorted(name for name in names if name.endswith(".py") and not name.startswith((".", "_")))
    return [f"{directory}/{name}" for name in mine[:MAX_FILES]]


def refused(path: str) -> str:
    """Return why a file is not run, "" where only root can have written it."""
    try:
        info = os.lstat(path)
    except OSError as error:
        return error.strerror or "cannot be read"
    if not stat.S_ISREG(info.st_mode):
        return "is no regular file"
    return _refused(os.path.dirname(path)) or _others(path, info)


def _refused(directory: str) -> str:
    """Return why nothing in ``directory`` is run: somebody else may write there, or replace a directory above it."""
    last = os.path.realpath(directory)
    path = last
    while True:
        try:
            info = os.lstat(path)
        except OSError as error:
            return f"{path}: {error.strerror}"
        why = _others(path, info, sticky=path != last)
        if why or path == "/":
            return why
        path = os.path.dirname(path)


def _others(path: str, info: os.stat_result, sticky: bool = False) -> str:
    """Return who else may change the file or directory; with ``sticky`` a sticky directory keeps what is root's."""
    if info.st_uid not in (0, os.geteuid()):
        return f"{path} belongs to uid {info.st_uid}; it must be root's"
    if info.st_mode & 0o022 and not (sticky and info.st_mode & stat.S_ISVTX):
        return f"{path} can be written by others (mode {info.st_mode & 0o7777:04o})"
    return ""


def source_of(path: str) -> bytes:
    """Return the text of a file that `site_files` found, which is looked at again once it is open.

    Raises OSError, PermissionError where it has become somebody else's.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        why = _others(path, os.fstat(descriptor))
        if why:
            raise PermissionError(1, why, path)
        return file.read(MAX_BYTES)


def directories(policy: Policy) -> list[str]:
    """Return where packages with entry points may be installed: beside Preflight, and in the policy's [site] path."""
    library = os.path.dirname(os.__file__)
    ours = [one for one in sys.path if one.startswith("/") and not _standard(one, library)]
    return list(dict.fromkeys([*ours, *policy.site.path]))


def _standard(path: str, library: str) -> bool:
    """Return whether it is the standard library's: its own directories, or its archive."""
    inside = f"{path}/".startswith(f"{library}/") and not path.endswith(("site-packages", "dist-packages"))
    return inside or path.endswith(".zip")


def site_key(policy: Policy) -> list[Any]:
    """Return what changes when a package is installed in one of `directories` or removed: a stat each."""
    return [identity(one) for one in directories(policy)]


def entry_points(policy: Policy) -> tuple[tuple[str, str], ...]:
    """Return (directory, "module:attribute") of the entry points of group GROUP. Imports importlib.metadata."""
    from importlib.metadata import distributions

    found: dict[tuple[str, str], None] = {}
    for directory in directories(policy):
        if not os.path.isdir(directory):
            continue
        for one in distributions(path=[directory]):
            try:
                points = [point for point in one.entry_points if point.group == GROUP]
            except Exception:  # a package whose own records are broken is not ours to judge
                continue
            for point in points:
                found[(directory, point.value)] = None
    return tuple(found)[:MAX_FILES]
