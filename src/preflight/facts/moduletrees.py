"""Whether a node has modules beside those of its trees: behind a module that adds a tree, or in a tree nobody named.

In a hierarchy `module load gcc/13` adds the tree that holds hdf5; a site's "StdEnv" or "2024" adds one too. Sources:
Lmod's user guide, "Software hierarchy"; module(1) of Environment Modules, MODULEPATH and modulespath.
"""

from __future__ import annotations

import errno
import re
import time

from preflight.facts.answer import explain
from preflight.facts.rootfs import Root

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterable

READ_S = 3.0  # seconds to read modulefiles in; they may lie in a network file system
CUT_KEEP_S = 600.0  # seconds until it is tried again: most are slow only the first time after a boot
_MOST = 1 << 16
_LISTS = (
    "/etc/lmod/modulespath",
    "/etc/environment-modules/modulespath",
    "/usr/share/modules/init/.modulespath",
    "/usr/share/Modules/init/.modulespath",
)
_PROFILES = "/etc/profile.d"
# Those of the packages of Lmod and of Environment Modules: what they compute are the trees of DEFAULT_PATHS.
_PACKAGED = ("modules.sh", "lmod.sh", "z00_lmod.sh", "00-modulepath.sh")
_ADDS = re.compile(r"MODULEPATH|\bmodule\s+use\b|^\s*use\s", re.MULTILINE)
_LINE = re.compile(r"^[^#\n]*(?:\bMODULEPATH=|\b(?:module|ml)\s+use\b)[^\n]*", re.MULTILINE)
_PATH = re.compile(r"(?<![\w}/$])/[\w./+-]+")
_PRIVATE = "use.own"  # Environment Modules' own: it adds the user's ~/privatemodules


def adds_trees(root: Root, files: Iterable[tuple[str, str]]) -> tuple[str | None, bool]:
    """Return why modules may stand behind others, None where none of the modulefiles adds a tree; and whether the next
    look may differ: they were not all read in READ_S, or the file system failed.

    ``files``: (name without version, path) of one modulefile of each module: what one version adds others do too. One
    that root may not read is passed over.
    """
    end = time.monotonic() + READ_S
    every = sorted(files)
    missed = None
    for name, path in every:
        if time.monotonic() > end:
            text = f"not all of {len(every)} modulefiles were read in {READ_S:.0f} s: they may add trees of modules"
            return text, True
        if name.rpartition("/")[2] == _PRIVATE:
            continue
        try:
            text = root.read_text(path, _MOST) or ""
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EPERM):
                missed = f"{explain(error)}: it may add a tree of modules"
            continue
        if _ADDS.search(text):
            return f"module {name} adds a tree of modules", False
    return missed, missed is not None


def own_trees(root: Root, known: tuple[str, ...]) -> tuple[tuple[str, ...], str | None]:
    """Return the trees that the node's own files name beside the ``known``, and why there may be more, None if not."""
    found: list[str] = []
    for path in _LISTS:
        text = _text(root, path)
        found += [line.strip() for line in text.splitlines() if line.strip().startswith("/")]
    behind = None
    for name in root.names(_PROFILES) or []:
        path = f"{_PROFILES}/{name}"
        for line in _LINE.findall(_text(root, path)) if name.endswith(".sh") else ():
            paths = [one for one in _PATH.findall(line) if root.is_dir(one)]
            found += paths
            if not paths and name not in _PACKAGED:
                behind = behind or f"{path} adds a tree of modules that policy [facts] module_paths does not name"
    return tuple(dict.fromkeys(one.rstrip("/") for one in found if one.rstrip("/") not in known)), behind


def _text(root: Root, path: str) -> str:
    try:
        return (root.read_text(path, _MOST) or "") if root.is_file(path) else ""
    except OSError:
        return ""
