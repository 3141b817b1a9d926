"""Which Slurm is installed here: its release and its GPU plugins, from files; no command is run."""

from __future__ import annotations

import os

from preflight.files import read_plain
from preflight.tuples import NamedTuple

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


def installed(plugin_directories: str, slurmd: str, pid: int = 0) -> Installed:
    """Return what the plugins on this host tell of Slurm.

    ``plugin_directories``: slurm.conf's PluginDir, "" where it is not set. ``slurmd``, ``pid``: the daemon's path and
    process, "" and 0 unknown: what it has loaded counts before what is there. Several installations that differ, with
    nothing to say which counts, are unknown.
    """
    found = _on_disk(plugin_directories, slurmd)
    loaded = _loaded(pid) if pid else ""
    return found._replace(nvml=loaded == "nvml") if loaded else found


def _on_disk(plugin_directories: str, slurmd: str) -> Installed:
    if plugin_directories:
        named = [place.rstrip("/") for place in plugin_directories.split(":") if place]
        return _of(named) or Installed()
    own = os.path.dirname(os.path.dirname(slurmd)) if slurmd else ""
    theirs = _of([f"{own}/{below}" for below in BELOW_A_PREFIX]) if own else None
    if theirs:
        return theirs
    found = [one for prefix in PREFIXES for below in BELOW_A_PREFIX if (one := _of([f"{prefix}/{below}"]))]
    if all(one[:2] == found[0][:2] for one in found):
        return found[0] if found else Installed()
    return Installed(paths=tuple(path for one in found for path in one.paths))


def _loaded(pid: int) -> str:
    """Return which GPU plugin a running slurmd has loaded ("nvml", "generic" …), "" where that cannot be told.

    22.05 to 24.11 keep it: 22.05 opens libnvidia-ml.so only, and without it takes the generic one and finds no GPU.
    26.05 unloads it once the GPUs are known.
    """
    try:
        with open(f"/proc/{pid}/maps", encoding="utf-8", errors="replace") as file:
            names = [line.rstrip().rpartition("/")[2] for line in file]
    except OSError:
        return ""
    found = {name[4:-3] for name in names if name.startswith("gpu_") and name.endswith(".so")}
    return found.pop() if len(found) == 1 else ""


def _of(places: list[str]) -> Installed | None:
    """Return what the plugins of one Slurm tell, whose directories are ``places``; None where there are none."""
    witness = next((f"{place}/{WITNESS}" for place in places if os.path.exists(f"{place}/{WITNESS}")), "")
    if not witness:
        return None
    plugins = [f"{place}/gpu_nvml.so" for place in places]
    nvml = any(os.path.exists(path) for path in plugins)
    return Installed(plugin_release(witness), nvml, (witness, *plugins))


def plugin_release(path: str) -> int:
    """Return the release for which a Slurm plugin was built, 2205 for 22.05; 0 where the file does not tell.

    Every plugin has the symbol plugin_version, SLURM_VERSION_NUMBER: 0x160508 is 22.05.8 (slurm/slurm_version.h).
    """
    try:
        data = read_plain(path, MAX_BYTES)
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
