"""What is mounted, and whether remote file systems answer."""

from __future__ import annotations

import errno
import os
from stat import S_ISDIR, S_ISLNK

from preflight.facts.answer import NOT_LIVE, Answer, explain, unknown
from preflight.facts.registry import fact
from preflight.facts.rootfs import Root
from preflight.tuples import NamedTuple

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

FILES = ("/proc/self/mounts", "/proc/mounts")
MAX_MOUNTS = 4 << 20
# File systems that need no other program or machine to answer; every other type is taken for a remote one, whose server
# or daemon may be dead: nfs4, lustre, gpfs, wekafs, dvs, virtiofs, fuse.gcsfuse and those that are yet to come.
LOCAL = frozenset(
    """ext2 ext3 ext4 xfs btrfs bcachefs zfs f2fs jfs reiserfs nilfs2 ntfs ntfs3 vfat msdos exfat hfs hfsplus
    iso9660 udf squashfs erofs cramfs romfs minix jffs2 ubifs ecryptfs overlay overlayfs aufs unionfs rootfs
    ramfs tmpfs devtmpfs proc sysfs devpts cgroup cgroup2 cpuset securityfs selinuxfs smackfs apparmorfs
    debugfs tracefs configfs bpf pstore efivarfs hugetlbfs mqueue fusectl binfmt_misc binder nsfs nfsd
    rpc_pipefs resctrl sockfs pipefs usbfs xenfs none autofs fuseblk fuse.lxcfs""".split()  # noqa: SIM905 - reads better
)
AUTOMOUNTER = "autofs"
WORKS = (errno.EACCES, errno.EPERM, errno.ENOENT, errno.ENOSYS)  # it answered, or is not mounted any more
MAX_ASKED = 256
MAX_LINKS = 64
MAX_ENTRIES = 1000
_OCTAL = r"\\([01][0-7]{2})"  # the kernel escapes blanks, "#" and "\\" only


@fact(
    "mounts",
    keys={
        "paths": "texts: mount points, without an automounter's",
        "automounts": "texts: an automounter's mount points",
        "remote": "texts: those of paths whose type needs a server or a daemon: all that are not known to be local",
        "users": "texts: mounted by a user through FUSE",
        "links": [{"path": "text", "to": "text: as far as the first mount point"}],
    },
)
def read(root: Root) -> Answer:
    """What is mounted; touches no mount.

    ``paths``: the mount points in the order of the mount table, but an automounter's, which are ``automounts``.
    ``remote``: those of remote file systems, ``users``: those that a user mounted by FUSE. ``links``: {path, to} of
    the links in the root directory and in its directories, followed as far as the first mount point (as root: root's
    own links).
    """
    rows = table(root)
    if rows is None:
        return unknown("no mount table" if root.live else NOT_LIVE)
    paths = list(dict.fromkeys(row.path for row in rows if row.kind != AUTOMOUNTER))
    automounts = [row.path for row in rows if row.kind == AUTOMOUNTER and row.path not in paths]
    remote = [row.path for row in rows if is_remote(row.kind)]
    users = [row.path for row in rows if row.user]
    links = _links(root, {path for path in (*paths, *automounts) if path != "/"})
    return Answer({"paths": paths, "automounts": automounts, "remote": remote, "users": users, "links": links})


def is_remote(kind: str) -> bool:
    """Return whether a file system of this type needs a server or a daemon to answer."""
    return kind not in LOCAL


def read_remote(root: Root, announce: Callable[[str], None], tell: Callable[[dict[str, object]], None]) -> None:
    """Ask each remote file system for its size, all at once; in a probe child, because a dead server hangs the call.

    Tells ``{"path", "type"}`` for each that answers, with ``"error"`` where it answers an error.
    """
    import _thread

    asked = remote_paths(root)[:MAX_ASKED]
    writing, running = _thread.allocate_lock(), [_thread.allocate_lock() for _ in asked]

    def ask(path: str, kind: str, ended: Any) -> None:
        found: dict[str, object] = {"path": path, "type": kind}
        try:
            os.statvfs(path)
        except OSError as error:
            if error.errno not in WORKS:
                found["error"] = explain(error)
        try:
            with writing:
                tell(found)
        finally:
            ended.release()

    announce("statvfs of each")
    for (path, kind), ended in zip(asked, running):
        ended.acquire()
        _thread.start_new_thread(ask, (path, kind, ended))
    for ended in running:
        ended.acquire()


def remote_paths(root: Root) -> list[tuple[str, str]]:
    """Return (mount point, type) of the remote file systems that are the node's, without touching them.

    Not those that a user mounted by FUSE: whether they answer is in the user's hand.
    """
    last = {row.path: row for row in table(root) or []}
    return [(row.path, row.kind) for row in last.values() if is_remote(row.kind) and not row.user]


def _links(root: Root, points: set[str]) -> list[dict[str, str]]:
    """Return {path, to} of the links in the root directory, and of those in a directory of it that lead to a mount.

    A path at or below a mount point is not touched.
    """
    found: list[dict[str, str]] = []
    top = root.path
    for directory in ("", *_directories(top, points)):
        for path in _entries(top, directory, links=True):
            to = None if path in points else _follow(top, path.split("/"), points)
            there = to is not None and any(f"{to}/".startswith(f"{point}/") for point in points)
            if to not in (None, path) and (there or not directory) and len(found) < MAX_LINKS:
                found.append({"path": path, "to": str(to)})
    return found


def _directories(top: str, points: set[str]) -> list[str]:
    """Return the directories of the root directory that are no mounts; as root, those that nobody else may change."""
    found = []
    for path in _entries(top, "", links=False):
        if path in points:
            continue
        try:
            info = os.lstat(f"{top.rstrip('/')}{path}")
        except OSError:
            continue
        theirs = top == "/" and _root_here() and (info.st_uid != 0 or info.st_mode & 0o022)
        if S_ISDIR(info.st_mode) and not theirs:
            found.append(path)
    return found


def _entries(top: str, directory: str, links: bool) -> list[str]:
    """Return the paths of a directory's links, or of its other entries; [] where it is not read."""
    try:
        with os.scandir(f"{top.rstrip('/')}{directory}/") as entries:
            names = [one.name for one, _ in zip(entries, range(MAX_ENTRIES)) if one.is_symlink() == links]
    except OSError:
        return []
    return [f"{directory}/{name}" for name in sorted(names)]


def _follow(top: str, parts: list[str], points: set[str]) -> str | None:
    """Return where a path leads, links followed inside ``top``; None where it may not be followed or ends."""
    todo, links = parts[::-1], 0
    done: list[str] = []
    while todo:
        part = todo.pop()
        if part in ("", "."):
            continue
        if part == "..":
            del done[-1:]
            continue
        if "/".join(("", *done, part)) in points:  # the mount's own, which may hang
            return os.path.normpath("/".join(("", *done, part, *todo[::-1])))
        here = "/".join((top.rstrip("/"), *done, part))
        try:
            info = os.lstat(here)
            target = os.readlink(here) if S_ISLNK(info.st_mode) else None
        except OSError:
            if not any(point.startswith("/".join(("", *done, part, ""))) for point in points):
                return None
            target = None  # on the way to a mount point, which a recorded tree need not hold
        if target is None:
            done.append(part)
            continue
        links += 1
        if links > 40 or (top == "/" and _root_here() and info.st_uid != 0):
            return None  # root follows its own links only
        if target.startswith("/"):
            done.clear()
        todo.extend(target.split("/")[::-1])
    return "/" + "/".join(done)


def _root_here() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


class Mount(NamedTuple):
    """A row of the mount table. ``user``: mounted by FUSE, and by a user who is not root.

    ``options`` as they stand there: "rw,relatime,vers=4.2".
    """

    path: str
    kind: str
    user: bool
    source: str = ""
    options: str = ""


def decode(text: str) -> str:
    r"""Return a path of the mount table with its octal escapes (``\040`` for a blank) decoded."""
    import re

    return re.sub(_OCTAL, lambda found: chr(int(found[1], 8)), text)


def table(root: Root) -> list[Mount] | None:
    """Return the rows of the mount table in its order, None where there is none."""
    for path in FILES:
        text = root.live_read(path, MAX_MOUNTS)
        if text is not None:
            rows = [line.split(" ") for line in text.splitlines()]
            return [
                Mount(decode(row[1]), row[2], _users(row[2:4]), decode(row[0]), row[3] if len(row) > 3 else "")
                for row in rows
                if len(row) >= 3
            ]
    return None


def _users(row: list[str]) -> bool:
    options = row[1].split(",") if len(row) > 1 and row[0].startswith("fuse") else []
    owner = next((one.partition("=")[2] for one in options if one.startswith("user_id=")), "0")
    return owner != "0"
