"""Kind "file": what a path is, whose, how old, how large, and what stands in it."""

from __future__ import annotations

import os
import stat
import time

from preflight.facts.accounts import gid_of, uid_of
from preflight.facts.host.kind import WAITING, Args, CannotTell, Shared, kind
from preflight.facts.host.match import any_matches, size
from preflight.facts.host.space import PUBLIC
from preflight.facts.rootfs import Root
from preflight.times import seconds

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

MAX_PATHS = 256
MAX_READ = 8 << 20
TYPES: dict[str, Callable[[int], bool]] = {
    "file": stat.S_ISREG,
    "directory": stat.S_ISDIR,
    "socket": stat.S_ISSOCK,
    "fifo": stat.S_ISFIFO,
    "block": stat.S_ISBLK,
    "character": stat.S_ISCHR,
}
BITS = {
    "readable": 0o444,
    "writable": 0o222,
    "executable": 0o111,
    "setuid": stat.S_ISUID,
    "setgid": stat.S_ISGID,
    "sticky": stat.S_ISVTX,
}
ACCESS = {"readable-by-root": os.R_OK, "writable-by-root": os.W_OK}  # access(2): not on a read-only file system
TESTS = ("exists", "absent", "link", "empty", "nonempty", *TYPES, *BITS, *ACCESS)

# Where every user may make files and directories: those of file systems, and others that hold little.
PLACES = (*PUBLIC, "/run/lock", "/var/lock", "/dev/mqueue")
# What a user changes of such a directory itself, which is root's: its size and its age, by what he makes in it.
OF_CONTENTS = {"size_min", "size_max", "age_max", "age_min", "newer_than", "older_than"}


def users(args: Args) -> str:
    """Return why users can make a row fail: what it looks at stands where everybody writes; ``writers`` has its way."""
    writers = args.get("writers")
    compared = [*(args.get("newer_than") or ()), *(args.get("older_than") or ())]
    tests = args.get("tests") or ()
    contents = bool(OF_CONTENTS & set(args)) or "empty" in tests or "nonempty" in tests
    public = any(_public(path, contents) for path in args["path"]) or any(_public(path, True) for path in compared)
    if writers == "root" or (writers is None and not public):
        return ""
    return 'users can change it; where only root writes, writers = "root" lets it drain'


def _public(path: str, itself: bool) -> bool:
    """Return whether a path, or one that its glob may match, is below one of PLACES, or with ``itself`` one of them."""
    from fnmatch import fnmatchcase

    parts = [part for part in os.path.normpath(path).split("/") if part]
    for place in PLACES:
        names = place.split("/")[1:]
        deep = len(parts) > len(names) or (itself and len(parts) == len(names))
        if deep and all(fnmatchcase(name, part) for name, part in zip(names, parts)):
            return True
    return False


@kind(
    "file",
    keys={
        "path": "paths!: each; globs with *, ? or […] are expanded, and one that matches nothing is not there",
        "tests": f"choices {'|'.join(TESTS)}: what each must be; left out: exists; readable: by anybody",
        "mode": "mode: its permissions, such as 0644",
        "mode_max": "mode: no other permissions than these",
        "owner": "text: a name or a number",
        "group": "text: a name or a number",
        "size_min": "size: at least",
        "size_max": "size: at most",
        "age_max": "time: since it was last written, at most",
        "age_min": "time: at least",
        "newer_than": "paths: written later than each of these",
        "older_than": "paths: written before each of these",
        "contents": "patterns: each must match a line of it, blanks around it or not, and of one with ! none may",
        "target": "pattern: of a link",
        "writers": "choice root|users: who can change it; left out: users below /tmp and the like, root elsewhere",
    },
    names=("path",),
    fact=WAITING,
    users=users,
)
def read(root: Root, args: Args, shared: Shared) -> dict[str, Any]:
    """Files and directories are there, or are not, with the mode, owner, age, size and contents that are asked for."""
    found = []
    for path in args["path"]:
        several = root.glob(path) if any(letter in path for letter in "*?[") else [path]
        if len(several) > MAX_PATHS:
            raise CannotTell(f"{len(several)} files fit {path}: at most {MAX_PATHS} are looked at")
        found += [_one(root, one, args) for one in several] or [{"path": path, "wrong": _absent(args)}]
    return {"files": found}


def _absent(args: Args) -> list[str]:
    return [] if "absent" in (args.get("tests") or []) else ["is not there"]


def _one(root: Root, path: str, args: Args) -> dict[str, Any]:
    """Return {path, wrong}: what of the file is not as asked."""
    tests = args.get("tests") or []
    link = _link(root, path)
    info = root.stat(path)
    if info is None and not ("link" in tests and link is not None):
        return {"path": path, "wrong": _absent(args)}
    if "absent" in tests:
        return {"path": path, "wrong": ["is there"]}
    wrong: list[str] = []
    if "link" in tests and link is None:
        wrong.append("is no link")
    if "target" in args and not (link and any_matches(args["target"], [link])):
        wrong.append(f"leads to {link}" if link else "is no link")
    if info is not None:
        wrong += (
            _tested(info, tests) + _accessed(root, path, tests) + _owned(root, info, args) + _measured(root, info, args)
        )
        wrong += _contents(root, path, args["contents"]) if "contents" in args else []
    return {"path": path, "wrong": wrong}


def _link(root: Root, path: str) -> str | None:
    """Return where a link leads, None for what is none."""
    parent, _, name = path.rpartition("/")
    real = parent or "/" if root.own else root.resolve(parent or "/")
    if real is None:
        return None
    try:
        return os.readlink(f"{'' if root.own else root.path}{real.rstrip('/')}/{name}")
    except OSError:
        return None


def _tested(info: os.stat_result, tests: list[str]) -> list[str]:
    wrong = [f"is no {test}" for test in tests if test in TYPES and not TYPES[test](info.st_mode)]
    wrong += [f"is not {test}" for test in tests if test in BITS and not info.st_mode & BITS[test]]
    wrong += ["is not empty"] if "empty" in tests and info.st_size else []
    return wrong + (["is empty"] if "nonempty" in tests and not info.st_size else [])


def _accessed(root: Root, path: str, tests: list[str]) -> list[str]:
    asked = [test for test in tests if test in ACCESS]
    real = (path if root.own else root.resolve(path)) if asked else None
    place = real if root.own or real is None else f"{root.path}{real}"
    return [f"is not {test.replace('-', ' ')}" for test in asked if place is None or not os.access(place, ACCESS[test])]


def _owned(root: Root, info: os.stat_result, args: Args) -> list[str]:
    wrong = []
    mode = stat.S_IMODE(info.st_mode)
    if "mode" in args and mode != int(args["mode"], 8):
        wrong.append(f"has mode {mode:04o}")
    if "mode_max" in args and mode & ~int(args["mode_max"], 8):
        wrong.append(f"has mode {mode:04o}")
    for key, number_of, found, word in (
        ("owner", uid_of, info.st_uid, "uid"),
        ("group", gid_of, info.st_gid, "gid"),
    ):
        if key in args:
            wanted = number_of(root, args[key])
            if wanted is None:
                raise CannotTell(f"no {key} is named {args[key]}")
            wrong += [f"is {word} {found}'s"] if found != wanted else []
    return wrong


def _measured(root: Root, info: os.stat_result, args: Args) -> list[str]:
    age = time.time() - info.st_mtime
    wrong = []
    if "size_min" in args and info.st_size < size(args["size_min"]):
        wrong.append(f"has {info.st_size} bytes")
    if "size_max" in args and info.st_size > size(args["size_max"]):
        wrong.append(f"has {info.st_size} bytes")
    if "age_max" in args and age > seconds(args["age_max"]):
        wrong.append(f"was written {_ago(age)} ago")
    if "age_min" in args and age < seconds(args["age_min"]):
        wrong.append(f"was written {_ago(age)} ago")
    for key, later in (("newer_than", True), ("older_than", False)):
        for path in args.get(key) or []:
            other = root.stat(path)
            if other is None:
                raise CannotTell(f"{path} is not there to compare with")
            if (info.st_mtime > other.st_mtime) is not later:
                wrong.append(f"is not {key[:5]} than {path}")
    return wrong


def _ago(age: float) -> str:
    unit, text = next(((size, word) for size, word in ((86400, "d"), (3600, "h"), (60, "m")) if age >= size), (1, "s"))
    return f"{age / unit:.0f} {text}"


def _contents(root: Root, path: str, patterns: list[str]) -> list[str]:
    lines = (root.read_text(path, MAX_READ) or "").splitlines()
    lines += [bare for one in lines if (bare := one.strip()) != one]
    wrong = []
    for pattern in patterns:
        if not any_matches(pattern, lines):
            wrong.append(
                f"has a line that matches {pattern[1:]}" if pattern.startswith("!") else f"has no line {pattern}"
            )
    return wrong
