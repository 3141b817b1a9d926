"""Names of environment modules ("cuda/12.4"), from the modulefiles themselves: `module` is a shell function."""

from stat import S_ISDIR, S_ISREG

from preflight.facts.answer import Answer, unknown
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


def read(root: Root, paths: tuple[str, ...]) -> Answer:
    """Return subject ``modules``: names, sorted, of every modulefile beneath ``paths`` (DEFAULT_PATHS where empty).

    Unknown where none of the directories is there: modules may then live in a place that nobody named, or in a file
    system that is not mounted. Bounded by MAX_DEPTH and MAX_MODULES.
    """
    found: set[str] = set()
    places = [path for path in paths or DEFAULT_PATHS if root.is_dir(path)]
    if not places:
        what = f"no directory {', '.join(paths)}" if paths else "no modulefile directory found"
        return unknown(f"{what} (policy [facts] module_paths)")
    for place in places:
        _walk(root, place.rstrip("/"), "", found, set())
    if len(found) > MAX_MODULES:
        return unknown(f"more than {MAX_MODULES} modulefiles")
    return Answer({"names": sorted(found)})


def _walk(root: Root, place: str, name: str, found: set[str], above: set[tuple[int, int]]) -> None:
    here = f"{place}/{name}".rstrip("/")
    info = root.stat(here)
    if info is None or name.count("/") >= MAX_DEPTH or len(found) > MAX_MODULES:
        return
    if S_ISREG(info.st_mode):
        if _is_module(root, here):
            found.add(name.removesuffix(".lua"))
        return
    key = (info.st_dev, info.st_ino)
    if not S_ISDIR(info.st_mode) or key in above:  # a link back up would go round for ever
        return
    for entry in root.names(here) or []:
        if not entry.startswith(".") and not entry.endswith("~"):
            _walk(root, place, f"{name}/{entry}".lstrip("/"), found, above | {key})


def _is_module(root: Root, path: str) -> bool:
    """Whether a file is a modulefile: Lua by its suffix, Tcl by a version for a name or by its cookie."""
    name = path.rpartition("/")[2]
    if name.endswith(".lua") or name[0].isdecimal():
        return True  # opening thousands of files on a network file system would cost seconds
    return (root.read(path) or b"").startswith(COOKIE)
