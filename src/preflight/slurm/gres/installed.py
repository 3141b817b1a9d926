"""Which Slurm is installed here: its release and its GPU plugins, from files; no command is run."""

from __future__ import annotations

import os

from preflight.tuples import NamedTuple

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterator

WITNESS = "gres_gpu.so"  # a plugin of every release that has GPUs; the symbol plugin_version is in every plugin
SYMBOL = b"plugin_version"
BELOW_A_PREFIX = ("lib/slurm", "lib64/slurm", "lib/x86_64-linux-gnu/slurm-wlm", "lib/aarch64-linux-gnu/slurm-wlm")
PREFIXES = ("/usr", "/usr/local", "/opt/slurm", "/usr/local/slurm", "/cm/shared/apps/slurm/current")
MAX_BYTES = 16 << 20


class Installed(NamedTuple):
    """``release``: 2205 for 22.05, 0 unknown. ``nvml``: has gpu_nvml.so, None unknown. ``paths``: what tells it."""

    release: int = 0
    nvml: bool | None = None
    paths: tuple[str, ...] = ()


def installed(plugin_directories: str, slurmd: str) -> Installed:
    """Return what the plugins on this host tell of Slurm.

    ``plugin_directories``: slurm.conf's PluginDir, "" where it is not set. ``slurmd``: the daemon's path, "" unknown.
    Several installations that differ, with neither of the two to say which counts, are unknown.
    """
    if plugin_directories:
        return _in_order([place.rstrip("/") for place in plugin_directories.split(":") if place])
    found = list[Installed]()
    for place in _places(slurmd):
        witness = f"{place}/{WITNESS}"
        if os.path.exists(witness):
            paths = (witness, f"{place}/gpu_nvml.so")
            found.append(Installed(plugin_release(witness), os.path.exists(paths[1]), paths))
    if not found:
        return Installed()
    first = found[0]
    alike = all(one[:2] == first[:2] for one in found)
    if alike or _of_prefix(first.paths[0], slurmd):
        return first
    return Installed(paths=tuple(path for one in found for path in one.paths))


def _in_order(places: list[str]) -> Installed:
    """Return what PluginDir's directories hold together: Slurm looks for each plugin in one after another."""
    witnesses = [f"{place}/{WITNESS}" for place in places]
    present = [path for path in witnesses if os.path.exists(path)]
    if not present:
        return Installed()
    nvml = [f"{place}/gpu_nvml.so" for place in places]
    return Installed(plugin_release(present[0]), any(os.path.exists(path) for path in nvml), (*witnesses, *nvml))


def _of_prefix(path: str, slurmd: str) -> bool:
    return bool(slurmd) and path.startswith(f"{os.path.dirname(os.path.dirname(slurmd))}/")


def _places(slurmd: str) -> Iterator[str]:
    own = os.path.dirname(os.path.dirname(slurmd)) if slurmd else ""
    seen = set[str]()
    for prefix in ([own] if own else []) + list(PREFIXES):
        for below in BELOW_A_PREFIX:
            real = os.path.realpath(f"{prefix}/{below}")
            if real not in seen:
                seen.add(real)
                yield f"{prefix}/{below}"


def plugin_release(path: str) -> int:
    """Return the release for which a Slurm plugin was built, 2205 for 22.05; 0 where the file does not tell.

    Every plugin has the symbol plugin_version, SLURM_VERSION_NUMBER: 0x160508 is 22.05.8 (slurm/slurm_version.h).
    """
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES)
        version = int.from_bytes(_symbol(data, SYMBOL), "little")
    except (OSError, ValueError, IndexError):
        return 0
    release = (version >> 16) * 100 + (version >> 8 & 255)
    return release if 1000 < release < 10000 else 0


def _symbol(data: bytes, name: bytes) -> bytes:
    """Return the four bytes of a symbol of a 64-bit little-endian ELF file; raises ValueError where it has none."""
    if data[:6] != b"\x7fELF\x02\x01":
        raise ValueError("no 64-bit little-endian ELF file")

    def number(at: int, size: int) -> int:
        return int.from_bytes(data[at : at + size], "little")

    table, size, count = number(40, 8), number(58, 2), number(60, 2)
    sections = [
        (number(at + 4, 4), number(at + 16, 8), number(at + 24, 8), number(at + 32, 8), number(at + 40, 4))
        for at in range(table, table + size * min(count, 256), size)
    ]  # type, address, offset, size, link
    for kind, _, offset, length, link in sections:
        if kind != 11:  # SHT_DYNSYM
            continue
        strings = sections[link][2]
        for at in range(offset, offset + length, 24):
            start = strings + number(at, 4)
            if data[start : start + len(name) + 1] == name + b"\0":
                value, section = number(at + 8, 8), sections[number(at + 6, 2)]
                place = value - section[1] + section[2]
                return data[place : place + 4]
    raise ValueError("no such symbol")
