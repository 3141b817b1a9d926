"""Kind "service": systemd's units, read from what systemd keeps for each unit that is active; no program is run.

/run/systemd/units/invocation:UNIT is there while a unit is active, and taken away when it stops or fails (systemd 236
and later, src/core/unit.c: unit_export_state_files, unit_unlink_state_files). A unit that is started again and again
is "activating" and has it too, so a service that is no one-shot also needs a process in its control group, where it is
known which that is: in system.slice, those of a template in a slice of the template there (src/core/unit.c,
unit_set_default_slice), and where Slice= says otherwise the mark alone counts.
"""

from __future__ import annotations

from preflight.facts.host.kind import Args, CannotTell, Shared, kind
from preflight.facts.rootfs import Root

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

UNITS = "/run/systemd/units"
MARK = "invocation:"
SYSTEMD = "/run/systemd/system"
FILES = (  # systemd.unit(5), where units of the system are looked for, the first first
    "/etc/systemd/system.control",
    "/run/systemd/system.control",
    "/run/systemd/transient",
    "/run/systemd/generator.early",
    "/etc/systemd/system",
    "/etc/systemd/system.attached",
    "/run/systemd/system",
    "/run/systemd/system.attached",
    "/run/systemd/generator",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
    "/run/systemd/generator.late",
)
GROUPS = ("/sys/fs/cgroup/system.slice", "/sys/fs/cgroup/systemd/system.slice", "/sys/fs/cgroup/unified/system.slice")
SUFFIXES = (".service", ".socket", ".mount", ".timer", ".target", ".path", ".automount", ".swap", ".slice", ".scope")
YES = ("1", "yes", "y", "true", "t", "on")  # systemd.syntax(7), booleans


def active(root: Root) -> list[str]:
    """Return the units that are active or are being started."""
    if root.stat(SYSTEMD) is None:
        raise CannotTell("systemd does not run here")
    return [name[len(MARK) :] for name in _links(root) if name.startswith(MARK)]


def _links(root: Root) -> list[str]:
    names = root.names(UNITS)
    if names is None:
        raise CannotTell(f"no {UNITS}: a systemd before 236")
    return names


@kind(
    "service",
    keys={
        "unit": "texts!: each, such as sshd or tmp.mount; without an ending it is a .service",
        "state": "choice active|inactive: left out: active",
    },
    names=("unit",),
)
def read(root: Root, args: Args, shared: Shared) -> dict[str, Any]:
    """Units of systemd are active."""
    running = shared.of(active)
    units = [one if one.endswith(SUFFIXES) else f"{one}.service" for one in args["unit"]]
    mains = {unit: unit if unit in running else _main(root, unit) for unit in units}
    return {"units": [{"unit": one, "active": main in running and _works(root, main)} for one, main in mains.items()]}


def _main(root: Root, unit: str) -> str:
    """Return the name that systemd keeps a unit by: of an alias, a link to another unit's file, the other's."""
    for directory in FILES:
        real = root.resolve(f"{directory}/{unit}")
        if real is not None:
            name = real.rpartition("/")[2]
            return name if name.endswith(SUFFIXES) and "@." not in name else unit
    return unit


def _works(root: Root, unit: str) -> bool:
    """Return whether a unit that has its mark is more than being started: it has a process, or needs none."""
    if not unit.endswith(".service"):
        return True
    holders = [(root.holder(group), group) for group in GROUPS]
    for holder, group in holders:
        if holder and any(_populated(holder, f"{group}/{place}") for place in _places(unit)):
            return True
    return not any(holder for holder, _ in holders) or _may_be_empty(_settings(root, unit))


def _places(unit: str) -> list[str]:
    """Return where in system.slice the unit's control group may be: "x@1.service" in "system-x.slice"."""
    if "@" not in unit:
        return [unit]
    prefix = unit.partition("@")[0]
    escaped = "".join(one if one.isalnum() or one in ":_." else f"\\x{ord(one):02x}" for one in prefix)
    return [f"system-{escaped}.slice/{unit}", unit]


def _populated(holder: Root, group: str) -> bool:
    """Return whether a process is in the group or below it."""
    if not holder.is_dir(group):
        return False
    events = holder.read_text(f"{group}/cgroup.events") or ""
    if "populated 1" in events.splitlines():  # of all below it: Documentation/admin-guide/cgroup-v2.rst
        return True
    below = [f"{group}/{one}" for one in holder.names(group) or []]
    return any(_has_process(holder, one) for one in (group, *below))


def _has_process(holder: Root, group: str) -> bool:
    text = holder.read_text(f"{group}/cgroup.procs") if holder.is_dir(group) else None
    return bool(text and text.strip())


def _may_be_empty(settings: list[tuple[str, str]]) -> bool:
    """Return whether such a unit needs no process in system.slice, or nothing is known of it."""
    for key, value in settings:
        if key == "Slice" or (key == "Type" and value == "oneshot") or (key == "RemainAfterExit" and value in YES):
            return True
    return not settings


def _settings(root: Root, unit: str) -> list[tuple[str, str]]:
    """Return (key, value in lower case) of the unit's file, its template's, and their drop-ins, wherever they are."""
    names = [unit, f"{unit.partition('@')[0]}@.service"] if "@" in unit else [unit]
    stems = [one.removesuffix(".service") for one in names]
    dashed = [f"{stem[: at + 1]}.service" for stem in stems for at, letter in enumerate(stem) if letter == "-"]
    paths: list[str] = []
    for directory in FILES:
        paths += [f"{directory}/{name}" for name in names]
        for name in (*names, *dashed, "service"):
            place = f"{directory}/{name}.d"
            paths += [f"{place}/{one}" for one in root.names(place) or [] if one.endswith(".conf")]
    found = []
    for path in paths:
        for line in ((root.read_text(path) if root.is_file(path) else None) or "").splitlines():
            key, equals, value = line.partition("=")
            if equals:
                found.append((key.strip(), value.strip().lower()))
    return found
