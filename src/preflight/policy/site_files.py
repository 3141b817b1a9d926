"""The site's own checks that a policy knows of: files of [site] directory, entry points of installed packages.

On the hook's path only where there are any.
"""

from __future__ import annotations

import os
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
    from preflight.owned import refused, refused_directory

    found = [SiteFile(path, problem=refused(path)) for path in _paths(policy.site.directory)]
    points = policy.site_points if policy.site_points is not None else entry_points(policy)
    for directory, entry in points:
        found.append(SiteFile(directory, entry, refused_directory(directory)))
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


def source_of(path: str) -> bytes:
    """Return the text of a file that `site_files` found, which is looked at again once it is open.

    Raises OSError, PermissionError where it has become somebody else's.
    """
    from preflight.owned import others

    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        why = others(path, os.fstat(descriptor))
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
