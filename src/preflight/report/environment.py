"""The nodes' facts side by side: what is the same said once, what differs said for each node."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Optional, Union

from preflight.report.nodes import fold

Report = dict[str, Any]
Subjects = dict[str, dict[str, Any]]
_LISTED = 6
_FURTHER = 50
_VERSION = 24  # enough of a digest to tell two policies apart
TIMES = "\N{MULTIPLICATION SIGN}"


class Group(NamedTuple):
    """One value and the nodes that have it; ``odd`` where it is not what most nodes have."""

    text: str
    where: str
    nodes: int
    odd: bool


class EnvRow(NamedTuple):
    """One property over all nodes; ``missing`` names the nodes where it was not read."""

    label: str
    groups: tuple[Group, ...]
    differs: bool
    missing: str = ""


class _Unknown(str):
    """Why a fact could not be told."""


Value = Union[str, tuple[str, ...]]
Shown = Callable[[Subjects], Optional[Value]]
Rule = tuple[str, tuple[str, ...], Shown]
Kind = tuple[Subjects, dict[str, str]]  # facts and why others could not be told
Pruned = Callable[[Mapping[str, Any]], dict[str, Any]]


def environment(reports: Iterable[Report]) -> tuple[EnvRow, ...]:
    """Return one row for each property that any node's reports state; ``reports`` are in order of time.

    A property of a node is what its latest report says. Free memory and space are left out of the comparison. Nodes
    whose reports have the same facts, as one object (`condense.Condenser`), are looked at once.
    """
    kinds, of_node = _kinds(reports)
    rows = []
    for label, paths, show in (*ROWS, *_further(kinds)):
        values = [_value(facts, unknown, paths, show) for facts, unknown in kinds]
        told = {node: value for node, kind in of_node.items() if (value := values[kind]) is not None}
        if told:
            missing = () if len(told) == len(of_node) else [node for node in of_node if node not in told]
            rows.append(_row(label, told, missing))
    return tuple(rows)


def software(reports: Iterable[Report]) -> tuple[EnvRow, ...]:
    """Return the rows of what made the reports."""
    rows = []
    for key, label in (
        ("preflight", "Preflight"),
        ("python", "Python"),
        ("catalog", "Catalog"),
        ("policy_sha256", "Policy (SHA-256)"),
    ):
        told: dict[str, Value] = {}
        for report in reports:
            if report["software"][key]:
                told[report["node"]] = report["software"][key][:_VERSION]
        if told:
            rows.append(_row(label, told, ()))
    return tuple(rows)


def size(value: float, base: int = 1024) -> str:
    """Return bytes as text: "503 GiB", or with base 1000 as GPUs are sold, "85.5 GB"."""
    units = ("B", "KiB", "MiB", "GiB", "TiB", "PiB") if base == 1024 else ("B", "kB", "MB", "GB", "TB", "PB")
    step = 0
    while value >= base and step < len(units) - 1:
        value /= base
        step += 1
    return f"{value:.0f} {units[step]}" if value >= 100 or not step else f"{value:.3g} {units[step]}"


def _kinds(reports: Iterable[Report]) -> tuple[list[Kind], dict[str, int]]:
    """Return the different facts that nodes have, and for each node which of them."""
    of_node: dict[str, list[Kind]] = {}
    for report in reports:
        of_node.setdefault(report["node"], []).append((report["facts"], report.get("unknown") or {}))
    kinds: list[Kind] = []
    numbers: dict[tuple[Any, ...], int] = {}
    found = {}
    for node, own in of_node.items():
        key = tuple((id(facts), *unknown.items()) for facts, unknown in own)
        if key not in numbers:
            numbers[key] = len(kinds)
            kinds.append(_latest(own))
        found[node] = numbers[key]
    return kinds, found


def _latest(own: Sequence[Kind]) -> Kind:
    """Return what one node's facts are at last; of each the later reading counts."""
    facts: Subjects = {}
    unknown: dict[str, str] = {}
    for read, untold in own:
        for subject, keys in read.items():
            facts.setdefault(subject, {}).update(keys)
            for name in [name for name in unknown if name.partition(".")[0] == subject]:
                del unknown[name]
        unknown.update(untold)
    return facts, unknown


def _value(facts: Subjects, unknown: dict[str, str], paths: tuple[str, ...], show: Shown) -> Value | None:
    for path in paths:
        for name in (path, path.partition(".")[0]):
            if name in unknown:
                return _Unknown(f"could not be told: {unknown[name]}")
    try:
        return show(facts)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        return None  # not read, or a report by another hand: what is not of the known shape is not shown


def _row(label: str, told: Mapping[str, Value], missing: Sequence[str]) -> EnvRow:
    groups: dict[Value, list[str]] = {}
    for node, value in told.items():
        groups.setdefault(value, []).append(node)
    ordered = sorted(groups.items(), key=lambda item: (isinstance(item[0], _Unknown), -len(item[1])))
    usual = ordered[0][0]
    # Where no value has most nodes, none is the usual one.
    tied = len(ordered) > 1 and len(ordered[1][1]) == len(ordered[0][1])
    shown = [
        Group(_text(value, usual, position), fold(nodes), len(nodes), position > 0 or tied)
        for position, (value, nodes) in enumerate(ordered)
    ]
    differs = len(ordered) > 1 or isinstance(usual, _Unknown)
    return EnvRow(label, tuple(shown), differs, fold(missing) if missing else "")


def _text(value: Value, usual: Value, position: int) -> str:
    if isinstance(value, str):
        return value
    if position and isinstance(usual, tuple):
        lacks = [one for one in usual if one not in set(value)]
        also = [one for one in value if one not in set(usual)]
        parts = [f"lacks {_listed(lacks)}"] if lacks else []
        return ", ".join(parts + ([f"also has {_listed(also)}"] if also else []))
    return _listed(value) or "none"


def _listed(values: Iterable[str]) -> str:
    every = list(values)
    more = len(every) - _LISTED
    return ", ".join(every[:_LISTED]) + (f" and {more} more" if more > 0 else "")


def _os(facts: Subjects) -> str:
    os = facts["os"]
    name = os.get("name") or os["id"]
    version = os.get("version")
    return str(name) if not version or str(version) in str(name) else f"{name} {version}"


def _glibc(facts: Subjects) -> str:
    version = facts["libc"]["glibc"]
    return f"glibc {version}" if version else "no glibc (musl)"


def _plain(subject: str, key: str, unit: str = "") -> Shown:
    def show(facts: Subjects) -> str:
        value = facts[subject][key]
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, (list, dict)):
            raise TypeError
        return "none" if value is None else f"{value}{unit}"

    return show


def _size(subject: str, key: str) -> Shown:
    def show(facts: Subjects) -> str:
        value = facts[subject][key]
        return "none" if value is None else size(value)

    return show


def _list(subject: str, key: str) -> Shown:
    def show(facts: Subjects) -> tuple[str, ...]:
        values = facts[subject][key] or ()
        return tuple(sorted(str(one) for one in values))

    return show


def _gpus(facts: Subjects) -> str:
    devices = facts["gpus"]["devices"] or ()
    names = Counter(one.get("name") or one.get("error") or "unnamed" for one in devices)
    return ", ".join(f"{count} {TIMES} {name}" for name, count in names.most_common(_LISTED)) or "none"


def _mig_devices(facts: Subjects) -> str | None:
    cut = [one for device in facts["gpus"]["devices"] or () for one in device.get("mig_devices") or ()]
    counts = Counter(str(one.get("profile") or "profile unknown") for one in cut)
    return ", ".join(f"{count} {TIMES} {profile}" for profile, count in counts.most_common(_LISTED)) or None


def _of_gpus(key: str, text: Callable[[Any], str]) -> Shown:
    def show(facts: Subjects) -> str | None:
        values = Counter(text(one[key]) for one in facts["gpus"]["devices"] or () if one.get(key) is not None)
        if len(values) > 1:
            return ", ".join(f"{count} {TIMES} {value}" for value, count in values.most_common(_LISTED))
        return next(iter(values), None)

    return show


def _switch(value: Any) -> str:
    return "on" if value else "off"


ROWS: tuple[Rule, ...] = (
    ("Operating system", ("os",), _os),
    ("Kernel", ("kernel.release",), _plain("kernel", "release")),
    ("C library", ("libc.glibc",), _glibc),
    ("Architecture", ("arch.machine",), _plain("arch", "machine")),
    ("CPUs", ("cpu.count",), _plain("cpu", "count")),
    ("Memory", ("memory.total",), _size("memory", "total")),
    ("NVIDIA driver", ("driver.version",), _plain("driver", "version")),
    ("Driver's kernel module", ("driver.module",), _plain("driver", "module")),
    ("Driver's CUDA", ("driver.cuda",), _plain("driver", "cuda")),
    ("NVML", ("driver.nvml",), _plain("driver", "nvml")),
    ("GPUs", ("gpus.devices",), _gpus),
    ("GPU memory", (), _of_gpus("memory", lambda value: size(value, 1000))),
    ("GPU architecture", (), _of_gpus("compute_capability", str)),
    ("ECC", (), _of_gpus("ecc", _switch)),
    ("MIG", (), _of_gpus("mig", _switch)),
    ("MIG devices", (), _mig_devices),
    ("NVLinks", (), _of_gpus("nvlink", lambda value: f"{value} active")),
    ("CUDA toolkits", ("toolkits.versions",), _list("toolkits", "versions")),
    ("Modules", ("modules.names",), _list("modules", "names")),
    ("Containers", ("container.runtimes",), _list("container", "runtimes")),
    ("Mounts", ("mounts.paths",), _list("mounts", "paths")),
    ("InfiniBand", ("ib.rate",), _plain("ib", "rate", " Gb/s")),
    ("/tmp, size", ("tmp.size",), _size("tmp", "size")),
    ("/dev/shm, size", ("shm.size",), _size("shm", "size")),
)
_FOR_CHECKS = ("install.", "kernel_log.")
# Shown above, or different at every reading.
_KNOWN = {path for _, paths, _ in ROWS for path in paths} | {
    *("os.id", "os.version", "os.name", "os.codename", "os.variant", "os.like"),
    *("memory.available", "tmp.free", "shm.free", "tmp.path", "shm.path", "gpus.count", "toolkits.items", "ib.ports"),
    *("gpus.stuck_at", "os.support_end", "os.l4t", "toolkits.compat"),
}
_READ = {path for _, paths, _ in ROWS for path in paths} | {"os.name", "os.id", "os.version"}
_OF_DEVICE = ("name", "error", "memory", "compute_capability", "ecc", "mig", "nvlink")


def shown_of(subject: str) -> Pruned:
    """Return what takes, of a subject's facts, those keys and values that `environment` shows."""
    if f"{subject}.".startswith(_FOR_CHECKS):
        return lambda keys: {}
    known = {path.partition(".")[2] for path in _KNOWN if path.partition(".")[0] == subject}
    read = tuple(path.partition(".")[2] for path in sorted(_READ) if path.partition(".")[0] == subject)

    def pruned(keys: Mapping[str, Any]) -> dict[str, Any]:
        found = {key: keys[key] for key in read if key in keys}
        if not known.issuperset(keys):  # a fact that this module has no words for; a list is not shown, but counted
            further = [key for key in keys if key not in known]
            found.update((key, [] if isinstance(keys[key], (list, dict)) else keys[key]) for key in further)
        if isinstance(found.get("devices"), list) and subject == "gpus":
            found["devices"] = [_device(one) if isinstance(one, dict) else one for one in found["devices"]]
        return found

    return pruned


def _device(one: Mapping[str, Any]) -> dict[str, Any]:
    found = {key: one[key] for key in _OF_DEVICE if key in one}
    cut = one.get("mig_devices")
    if isinstance(cut, list):
        cut = [{"profile": part.get("profile")} if isinstance(part, dict) else part for part in cut]
    if cut:
        found["mig_devices"] = cut
    return found


def _further(kinds: Iterable[Kind]) -> list[Rule]:
    """Return rows for facts that this module has no words for: a probe added later shows without touching it."""
    paths = dict.fromkeys(f"{subject}.{key}" for facts, _ in kinds for subject, keys in facts.items() for key in keys)
    # What is installed around the driver, and what the kernel said, is for the checks; the page names it where
    # something is wrong with it.
    further = [path for path in paths if path not in _KNOWN and not path.startswith(_FOR_CHECKS)][:_FURTHER]
    rows: list[Rule] = []
    for path in further:
        rows.append((path, (path,), _plain(*path.split(".", 1))))
    return rows
