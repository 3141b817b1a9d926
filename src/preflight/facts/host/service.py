"""Kind "service": systemd's units, read from what systemd keeps for each unit that is active; no program is run.

/run/systemd/units/invocation:UNIT is there while a unit is active, and taken away when it stops or fails (systemd 236
and later, src/core/unit.c: unit_export_state_files, unit_unlink_state_files). A unit that is started again and again
is "activating" and has it too, so a service that is no one-shot also needs a process in its control group.
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
FILES = ("/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")
GROUPS = ("/sys/fs/cgroup/system.slice", "/sys/fs/cgroup/systemd/system.slice", "/sys/fs/cgroup/unified/system.slice")
SUFFIXES = (".service", ".socket", ".mount", ".timer", ".target", ".path", ".automount", ".swap", ".slice", ".scope")
ONE_SHOT = ("oneshot", "true")  # of Type= and RemainAfterExit=


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
    return {"units": [{"unit": unit, "active": unit in running and _works(root, unit)} for unit in units]}


def _works(root: Root, unit: str) -> bool:
    """Return whether a unit that has its mark is more than being started: it has a process, or needs none."""
    if not unit.endswith(".service"):
        return True
    holders = [(root.holder(group), group) for group in GROUPS]
    for holder, group in holders:
        text = holder.read_text(f"{group}/{unit}/cgroup.procs") if holder else None
        if text and text.strip():
            return True
        below = holder.names(f"{group}/{unit}") if holder else None
        if below and any(_populated(holder, f"{group}/{unit}/{one}") for one in below):
            return True
    return _needs_none(root, unit) or not any(holder for holder, _ in holders)


def _populated(holder: Root | None, path: str) -> bool:
    text = holder.read_text(f"{path}/cgroup.procs") if holder and holder.is_dir(path) else None
    return bool(text and text.strip())


def _needs_none(root: Root, unit: str) -> bool:
    names = [unit, f"{unit.partition('@')[0]}@.service"] if "@" in unit else [unit]
    for directory in FILES:
        for name in names:
            text = root.read_text(f"{directory}/{name}") if root.is_file(f"{directory}/{name}") else None
            for line in (text or "").splitlines():
                key, _, value = line.partition("=")
                if key.strip() in ("Type", "RemainAfterExit") and value.strip().lower() in (
                    *ONE_SHOT,
                    "yes",
                    "1",
                    "on",
                ):
                    return True
    return False
