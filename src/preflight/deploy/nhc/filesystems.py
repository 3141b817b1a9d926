"""NHC's checks of file systems: scripts/lbnl_fs.nhc of NHC 1.4.3."""

from __future__ import annotations

import re

from preflight.deploy.nhc.call import Call, Unturned, amount, count, mstr, size, turns
from preflight.deploy.nhc.targets import NoMatch, option

TRIGGER = "NHC opens the mount point first, so that the automounter mounts it; Preflight touches none, and only warns"


@turns("check_fs_mount", "check_fs_mount_rw", "check_fs_mount_ro")
def mount(call: Call) -> None:
    """The old form, PATH [SOURCE [TYPE [OPTIONS]]], or options, of which -s, -t, -o and -f may come several times."""
    must = {"check_fs_mount_rw": ["rw"], "check_fs_mount_ro": ["ro"]}.get(call.name, [])
    sources: list[str] = []
    types: list[str] = []
    options: list[str] = []
    paths: list[str] = []
    automounted: list[str] = []
    if call.args and call.args[0].startswith("/"):
        paths, rest = call.args[:1], [*call.args[1:], "", "", ""]
        sources, types = [one for one in rest[:1] if one], [one for one in rest[1:2] if one]
        options = [one for one in rest[2:3] if one and not must]
        if len(call.args) > (3 if must else 4):
            call.left_out(" ".join(call.args[3 if must else 4 :]), "NHC does not look at it in this form")
    else:
        into = {"s": sources, "t": types, "o": options, "f": paths, "F": automounted}
        for letter, value in call.options("0rE:F:O:e:f:o:s:t:"):
            if letter in into:
                into[letter].append(value)
            elif letter == "0":
                call.harmless = True
            else:
                call.acts(letter, {"r": "mounts again", "O": "is for mounting again"}.get(letter, f"runs {value!r}"))
        paths += [one for one in call.args if one]
    if not paths and not automounted:
        raise Unturned("it names no mount point")
    try:
        asked = [*must, *(option(one) for one in options)] or None
    except NoMatch as error:
        raise Unturned(str(error)) from None
    if len(sources) > 1 or len(types) > 1:
        raise Unturned("several of -s or -t must all match one mount, which a row cannot say")
    source, kind = (mstr(one[0]) if one else None for one in (sources, types))
    for path in paths:
        call.row("mount", path=_exact(path), source=source, type=kind, options=asked)
    if automounted:
        call.harmless = True
        call.named.append(f"-F {' '.join(automounted)}: {TRIGGER}")
    for path in automounted:
        call.row("mount", path=_exact(path), source=source, type=kind, options=asked)


def _exact(path: str) -> str:
    """Return a mount point, which NHC compares as it stands, as a row's path, which may be a glob."""
    if not path.startswith("/"):
        raise Unturned(f"{path!r} is no absolute path")
    if set(path) & set("*?["):
        raise Unturned(f"NHC compares the mount point {path!r} as it stands, and nothing is mounted there")
    if re.search(r"\s|//", path):
        raise Unturned(f"NHC compares the mount point {path!r} with /proc/mounts, where none is written so")
    if len(path) > 1 and path.endswith("/"):
        raise Unturned(f"NHC compares the mount point {path!r} as it stands, and no mount point ends with a slash")
    return path


@turns("check_fs_size", "check_fs_free", "check_fs_used", "check_fs_inodes", "check_fs_ifree", "check_fs_iused")
def space(call: Call) -> None:
    """MOUNT-POINT and one bound, or for sizes the least and the most. NHC passes what is not mounted."""
    if not call.args or len([one for one in call.args if one]) < 2:
        raise Unturned("it has no bound, so NHC never fails it")
    path, *bounds = call.args
    low, high = [*bounds, "", ""][:2]
    keys: dict[str, object] = {}
    if call.name == "check_fs_size":
        keys = {"size_min": size(low) if low else None, "size_max": size(high) if high else None}
    elif call.name == "check_fs_free":
        keys = {"free_min": amount(low)}
    elif call.name == "check_fs_used":
        keys = {"used_max": amount(low)}
    elif call.name == "check_fs_inodes":
        keys = {"inodes_min": count(low) if low else None, "inodes_max": count(high) if high else None}
    else:
        bound = amount(low) if low.endswith("%") else str(count(low))
        keys = {"inodes_free_min" if call.name == "check_fs_ifree" else "inodes_used_max": bound}
    if path.startswith("/dev/") and path not in ("/dev/shm", "/dev/hugepages"):
        call.notes.append("NHC looks a file system up by its mount point and passes one that it does not find")
        call.row("space", device=path, **keys)
    elif path.startswith("/"):
        _exact(path)
        call.row("space", path=path, **keys, mounted=True)
    else:
        raise Unturned(f"{path!r} is neither a mount point nor a device")
