"""The nodes' facts side by side: what is the same said once, what differs said for each node."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Optional, Union

Report = dict[str, Any]
Subjects = dict[str, dict[str, Any]]
Fold = Callable[[Iterable[str]], str]
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


def environment(reports: list[Report], fold: Fold) -> tuple[EnvRow, ...]:
    """Return one row for each property that any node's reports state; ``reports`` are in order of time.

    A property of a node is what its latest report says. Free memory and space are left out of the comparison.
    """
    nodes = _by_node(reports)
    rows = []
    for label, paths, show in (*ROWS, *_further(nodes)):
        values = {node: _value(facts, unknown, paths, show) for node, (facts, unknown) in nodes.items()}
        told = {node: value for node, value in values.items() if value is not None}
        if told:
            rows.append(_row(label, told, [node for node in nodes if node not in told], fold))
    return tuple(rows)


def software(reports: list[Report], fold: Fold) -> tuple[EnvRow, ...]:
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
            rows.append(_row(label, told, [], fold))
    return tuple(rows)


def size(value: float, base: int = 1024) -> str:
    """Return bytes as text: "503 GiB", or with base 1000 as GPUs are sold, "85.5 GB"."""
    units = ("B", "KiB", "MiB", "GiB", "TiB", "PiB") if base == 1024 else ("B", "kB", "MB", "GB", "TB", "PB")
    step = 0
    while value >= base and step < len(units) - 1:
        value /= base
        step += 1
    return f"{value:.0f} {units[step]}" if value >= 100 or not step else f"{value:.3g} {units[step]}"


def _by_node(reports: list[Report]) -> dict[str, tuple[Subjects, dict[str, str]]]:
    nodes: dict[str, tuple[Subjects, dict[str, str]]] = {}
    for report in reports:
        facts, unknown = nodes.setdefault(report["node"], ({}, {}))
        for subject, keys in report["facts"].items():
            facts.setdefault(subject, {}).update(keys)
            for name in [name for name in unknown if name.partition(".")[0] == subject]:
                del unknown[name]
        unknown.update(report.get("unknown") or {})
    return nodes


def _value(facts: Subjects, unknown: dict[str, str], paths: tuple[str, ...], show: Shown) -> Value | None:
    for path in paths:
        for name in (path, path.partition(".")[0]):
            if name in unknown:
                return _Unknown(f"could not be told: {unknown[name]}")
    try:
        return show(facts)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        return None  # not read, or a report by another hand: what is not of the known shape is not shown


def _row(label: str, told: dict[str, Value], missing: list[str], fold: Fold) -> EnvRow:
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


def _further(nodes: dict[str, tuple[Subjects, dict[str, str]]]) -> list[Rule]:
    """Return rows for facts that this module has no words for: a probe added later shows without touching it."""
    paths = dict.fromkeys(
        f"{subject}.{key}" for facts, _ in nodes.values() for subject, keys in facts.items() for key in keys
    )
    # What is installed around the driver, and what the kernel said, is for the checks; the page names it where
    # something is wrong with it.
    further = [path for path in paths if path not in _KNOWN and not path.startswith(_FOR_CHECKS)][:_FURTHER]
    rows: list[Rule] = []
    for path in further:
        rows.append((path, (path,), _plain(*path.split(".", 1))))
    return rows
