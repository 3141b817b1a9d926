"""Names of environment modules ("cuda/12.4"), from the modulefiles themselves: `module` is a shell function."""

from __future__ import annotations

import re
from stat import S_ISDIR, S_ISREG

from preflight.digits import is_whole
from preflight.facts.answer import Answer, unknown
from preflight.facts.moduletrees import CUT_KEEP_S, adds_trees, own_trees
from preflight.facts.rootfs import Root

MAX_DEPTH = 6
MAX_MODULES = 20_000
COOKIE = b"#%Module"
# Where distributions and the two module systems keep them; a site's own trees are policy [facts] module_paths.
DEFAULT_PATHS = (
    "/etc/modulefiles",
    "/usr/share/modulefiles",
    "/usr/share/Modules/modulefiles",
    "/usr/share/modules/modulefiles",
    "/opt/ohpc/pub/modulefiles",
)
RC_FILES = (".modulerc", ".modulerc.lua", ".version")
# Where packages and their makers' instructions put the two systems (Debian, EPEL, OpenHPC, a prefix of its own).
LMOD = ("/usr/share/lmod", "/opt/ohpc/admin/lmod", "/opt/apps/lmod", "/usr/local/lmod", "/etc/profile.d/z00_lmod.sh")
MODULES = ("/usr/share/Modules/init", "/usr/share/modules/init", "/usr/local/Modules/init", "/opt/Modules/init")
# module-version NAME SYMBOL…, module-alias NAME MODULE; in Lua module_version("NAME", "SYMBOL"), module_alias(…)
_TCL = re.compile(r"^\s*module-(version|alias)\s+([^\s$\[{\"]+)((?:[ \t]+[^\s$\[{\";]+)+)[ \t]*$", re.MULTILINE)
_LUA = re.compile(
    r"""^\s*module_(version|alias)\(\s*["']([^"']+)["']\s*,\s*["']([^"']+)["']\s*\)[ \t]*;?[ \t]*$""", re.MULTILINE
)
_NAMING = re.compile(r"module[-_](?:version|alias)\b")


class _Found:
    """What a walk found; ``lua``: a Lua file is among them; ``unread``: an rc file was not understood. ``files``: of
    the versions of one module in one tree, name and path of one; a name may stand in several trees."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.files: dict[str, tuple[str, str]] = {}
        self.aliases: set[str] = set()
        self.lua = False
        self.unread = False

    def take(self, name: str, path: str) -> None:
        """Take the modulefile ``name`` of a tree, which stands at ``path``."""
        plain = name.removesuffix(".lua")
        self.names.add(plain)
        module, _, version = plain.rpartition("/")
        if module and is_whole(version.removeprefix("v")[:1]):
            self.files[path.rpartition("/")[0]] = (module, path)
        else:  # no version, or one that nothing tells from a name ("Core/StdEnv")
            self.files[path] = (plain, path)
        self.lua = self.lua or name.endswith(".lua")


def read(root: Root, paths: tuple[str, ...]) -> Answer:
    """Return subject ``modules``: names, sorted, of every modulefile beneath ``paths`` (DEFAULT_PATHS where empty).

    ``aliases``: other names for them, by .modulerc and .version; ``unread``: an rc file names more than was understood.
    ``system``: lmod or environment-modules, None where neither or both are installed and no modulefile is Lua.
    ``behind``: why there may be modules beside these: one of them adds a tree, as in a hierarchy, or, where ``paths``
    is empty, the node's own files name another; None where nothing says so.
    Unknown where none of the directories is there: modules may then live in a place that nobody named, or in a file
    system that is not mounted. Bounded by MAX_DEPTH and MAX_MODULES.
    """
    found = _Found()
    named, behind = ((), None) if paths else own_trees(root, DEFAULT_PATHS)
    places = [path for path in paths or (*DEFAULT_PATHS, *named) if root.is_dir(path)]
    if not places:
        what = f"no directory {', '.join(paths)}" if paths else "no modulefile directory found"
        return unknown(f"{what} (policy [facts] module_paths)")
    for place in places:
        _walk(root, place.rstrip("/"), "", found, set())
    if len(found.names) > MAX_MODULES:
        return unknown(f"more than {MAX_MODULES} modulefiles")
    aliases = sorted(found.aliases - found.names)
    added, cut = (None, False) if behind else adds_trees(root, found.files.values())
    values = {
        "names": sorted(found.names),
        "aliases": aliases,
        "unread": found.unread,
        "behind": behind or added,
        "system": _system(root, found.lua),
    }
    return Answer(values, keep_s=CUT_KEEP_S if cut else None)


def _system(root: Root, lua: bool) -> str | None:
    if lua:
        return "lmod"  # Environment Modules read no Lua
    installed = [any(root.stat(path) is not None for path in places) for places in (LMOD, MODULES)]
    return None if installed[0] == installed[1] else "lmod" if installed[0] else "environment-modules"


def _walk(root: Root, place: str, name: str, found: _Found, above: set[tuple[int, int]], kind: str = "") -> None:
    """Take what is at ``name`` below ``place``; of a ``kind`` "file" its directory stands for it in the cache."""
    here = f"{place}/{name}".rstrip("/")
    if kind == "file" and _named_as_module(name.rpartition("/")[2]):
        if name.count("/") < MAX_DEPTH and len(found.names) <= MAX_MODULES:
            found.take(name, here)
        return
    info = root.stat(here)
    if info is None or name.count("/") >= MAX_DEPTH or len(found.names) > MAX_MODULES:
        return
    if S_ISREG(info.st_mode):
        if _is_module(root, here):
            found.take(name, here)
        return
    key = (info.st_dev, info.st_ino)
    if not S_ISDIR(info.st_mode) or key in above:  # a link back up would go round for ever
        return
    for entry, kind in root.entries(here) or []:
        if entry in RC_FILES:
            _other_names(root, f"{here}/{entry}", name, found)
        if not entry.startswith(".") and not entry.endswith("~"):
            _walk(root, place, f"{name}/{entry}".lstrip("/"), found, above | {key}, kind)


def _other_names(root: Root, path: str, name: str, found: _Found) -> None:
    """Take the names that an rc file in the directory of module ``name`` ("" at the tree's root) gives to modules."""
    try:
        text = root.read_text(path) or ""
    except OSError:  # not readable, or no regular file: as one that was not understood
        found.unread = True
        return
    text = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith(("#", "--")))
    understood = 0
    for kind, first, rest in [*_TCL.findall(text), *_LUA.findall(text)]:
        understood += 1
        if kind == "alias":
            found.aliases.add(first)
            continue
        target = f"{name}{first}" if first.startswith("/") else first
        found.aliases |= {f"{target.rpartition('/')[0] or target}/{symbol}" for symbol in rest.split()}
    found.unread = found.unread or len(_NAMING.findall(text)) > understood


def _is_module(root: Root, path: str) -> bool:
    """Whether a file is a modulefile: Lua by its suffix, Tcl by a version for a name or by its cookie."""
    return _named_as_module(path.rpartition("/")[2]) or (root.read(path) or b"").startswith(COOKIE)


def _named_as_module(name: str) -> bool:
    """Whether a file's name alone says so: opening thousands on a network file system would cost seconds."""
    return name.endswith(".lua") or is_whole(name[0])
