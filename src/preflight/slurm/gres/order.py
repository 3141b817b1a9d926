"""slurmd's list of a node's GPUs: the configuration merged with what its plugins detect, in the order of its numbers.

Written after Slurm's src/interfaces/gres.c, src/plugins/gres/gpu/gres_gpu.c, gpu/nvml and gpu/nvidia of 22.05.8,
24.11.5 and 26.05.3; docs/slurm.md has the rules in words.
"""

from __future__ import annotations

from preflight.digits import is_whole
from preflight.slurm.gres.model import Gres, Line
from preflight.slurm.gres.names import is_part, natural, type_name
from preflight.tuples import NamedTuple

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

MIG_AFTER_GPUS = 2302  # from there on MIG devices have no place of their own: whole GPUs first, then MIG by file
NVIDIA_SINCE, FULL_SINCE = 2411, 2605
OTHER_VENDORS = ("rsmi", "oneapi", "nrt")


class Entry(NamedTuple):
    """One GPU of slurmd's list.

    ``file``: as slurmd compares it, "" without. ``targets``: what the files are (see `Line`). ``place``: where it
    comes in the order that Slurm keeps as links, None without. ``found``: (position in facts' devices, position in
    its mig_devices or None) of a detected one, None for one that is only configured.
    """

    type: str | None
    file: str
    targets: tuple[str, ...] = ()
    place: int | None = None
    found: tuple[int, int | None] | None = None


class Ambiguous(Exception):
    """Why the order cannot be told, in one line."""


def method(gres: Gres, release: int, nvml: bool) -> str:
    """Return how slurmd of ``release`` detects the node's GPUs: "nvml", "nvidia", "full", "other" or "" (not at all).

    ``nvml``: whether its NVML plugin works.
    """
    said = gres.autodetect.lower()
    if release >= FULL_SINCE and "full" in said:
        return "nvml" if nvml else "nvidia"
    if "nvml" in said:
        return "nvml" if nvml else ""
    if any(vendor in said for vendor in OTHER_VENDORS):
        return "other"
    return "nvidia" if release >= NVIDIA_SINCE and "nvidia" in said else ""


def entries(gres: Gres, gpus: list[dict[str, Any]], release: int, how: str) -> list[Entry]:
    """Return slurmd's list. ``gpus``: facts' devices, each with a name and a minor number; raises Ambiguous."""
    detects = how in ("nvml", "nvidia")
    system = detected(gpus, release, how) if detects else []
    wanted = gres.wanted
    if wanted is None and detects and not gres.lines:
        wanted = ((None, len(system)),)
    elif wanted is None:
        kinds = dict.fromkeys(line.type for line in gres.lines)
        if len(kinds) > 1 and not detects:
            raise Ambiguous("gres.conf has several types of GPU, and no Gres= was found that puts them in order")
        wanted = tuple((kind, sum(line.number for line in gres.lines if line.type == kind)) for kind in kinds)
    lines = _configured(gres.lines, wanted)
    return _merged(_single(lines), system) if detects else [one for one in _spread(lines) if one.file]


def _configured(lines: tuple[Line, ...], wanted: tuple[tuple[str | None, int], ...]) -> list[Line]:
    """Return the lines that slurm.conf's Gres= takes: each of its types in turn, its own lines, as many as it counts.

    What no line gives is added as a line without a file.
    """
    left, taken = list(lines), list[Line]()
    for kind, count in wanted:
        for line in list(left):
            if count and (kind is None or (line.type or "").lower() == kind.lower()):
                left.remove(line)
                line = line if kind is not None else line._replace(type=None)
                taken.append(line if line.number <= count else _first(line, count))
                count -= min(count, line.number)
        if count:
            taken.append(Line(kind, number=count))
    return taken


def _first(line: Line, count: int) -> Line:
    files, targets = line.files[:count], line.targets[:count]
    return line._replace(number=count, files=files, targets=targets, text=",".join(files))


def _spread(lines: list[Line]) -> list[Entry]:
    """Return one entry a GPU, by its files alone."""
    found = list[Entry]()
    for line in lines:
        if line.multiple or not line.files:
            found.append(Entry(line.type, line.text, line.targets))
        else:
            found += [Entry(line.type, file, (target,)) for file, target in zip(line.files, line.targets)]
    return found


def _single(lines: list[Line]) -> list[Entry]:
    """Return one entry a GPU for the comparison with what was detected; a single File= stays as it is written."""
    found = list[Entry]()
    for line in lines:
        place = _self(line.links)
        if line.number == 1:
            found.append(Entry(line.type, line.text, line.targets, place))
        elif not line.files:
            found += [Entry(line.type, "", (), place)] * line.number
        else:
            found += [one._replace(place=place) for one in _spread([line])]
    return found


def _self(links: str) -> int | None:
    """Return at which place Links= has its -1; None where it is not set or wrong: Slurm ignores it then."""
    words = [word.strip() for word in links.split(",") if word]
    if words.count("-1") != 1 or any(not is_whole(word.removeprefix("-")) or int(word) < -2 for word in words):
        return None
    return words.index("-1")


def detected(gpus: list[dict[str, Any]], release: int, how: str) -> list[Entry]:
    """Return what slurmd's plugin finds, in its order. Raises Ambiguous for MIG devices that are not known."""
    if how == "nvidia":
        return [
            Entry(type_name(gpu["name"]), f"/dev/nvidia{gpu['minor']}", (f"gpu:{gpu['minor']}",), None, (at, None))
            for at, gpu in enumerate(gpus)
        ]
    found = list[Entry]()
    for at, gpu in enumerate(gpus):
        slices = _slices(gpu, at, release) if gpu.get("mig") else []
        whole = Entry(type_name(gpu["name"]), f"/dev/nvidia{gpu['minor']}", (f"gpu:{gpu['minor']}",), at, (at, None))
        found += slices or [whole]
    return found


def _slices(gpu: dict[str, Any], at: int, release: int) -> list[Entry]:
    slices = gpu.get("mig_devices")
    if slices is None:
        raise Ambiguous(f"the MIG devices of GPU {gpu.get('index')} were not read")
    found = list[Entry]()
    for place, one in enumerate(slices):
        if not one.get("caps"):
            raise Ambiguous(f"the capability files of GPU {gpu.get('index')}'s MIG devices are not known (mig-minors)")
        caps = [f"/dev/nvidia-caps/nvidia-cap{cap}" for cap in one["caps"]]
        file = ",".join([f"/dev/nvidia{gpu['minor']}", *caps])
        targets = (f"gpu:{gpu['minor']}", *(f"cap:{cap}" for cap in one["caps"]))
        kind = type_name(gpu["name"]).split("-")[0] + "_" + _profile(one, release)
        found.append(Entry(kind, file, targets, place if release < MIG_AFTER_GPUS else None, (at, place)))
    return found


def _profile(one: dict[str, Any], release: int) -> str:
    """Return the profile as Slurm's type has it; 22.05 makes its own, of compute slices and memory in whole GiB."""
    profile = str(one.get("profile") or "")
    memory = one.get("memory")
    if release >= MIG_AFTER_GPUS or not isinstance(memory, int):
        return profile.lower()
    instance = next((part for part in profile.split(".") if part.endswith("g")), "")
    return f"{instance}.{int(memory / (1 << 30) + 0.5)}gb"


def _merged(configured: list[Entry], system: list[Entry]) -> list[Entry]:
    """Return the GPUs that are both configured and detected, and those configured with a file of their own.

    gres_gpu.c, _merge_system_gres_conf.
    """
    configured.sort(key=_by_type)
    system = sorted(system, key=_by_type)
    _name_types(configured, system)
    configured.sort(key=_by_file)
    system.sort(key=_by_file)
    kept = list[Entry]()
    for one in configured:
        at = next((at for at, other in enumerate(system) if _matches(one, other)), None)
        if at is not None:
            kept.append(system.pop(at))
        elif one.file:
            kept.append(one)
    kept.sort(key=_by_file)
    kept.sort(key=lambda one: (one.place is None, one.place or 0))
    return [one for one in kept if one.file]


def _name_types(configured: list[Entry], system: list[Entry]) -> None:
    """Give each detected GPU the configured type that is a part of its own, as often as that type is configured."""
    if not configured:
        return
    typed = any(one.type for one in configured)
    left = [one.type for one in configured if one.type]
    for at, one in enumerate(system):
        kind = next((kind for kind in left if is_part(kind, one.type)), None)
        if kind is not None:
            left.remove(kind)
            system[at] = one._replace(type=kind)
        elif not typed:
            system[at] = one._replace(type=None)


def _matches(configured: Entry, other: Entry) -> bool:
    if configured.type is not None and configured.type != other.type:
        return False
    return not configured.file or configured.file == other.file


def _by_type(one: Entry) -> Any:
    if one.type is None:
        return (0,)
    return (1, -len(one.type), one.type, *_by_file(one))


def _by_file(one: Entry) -> Any:
    return (not one.file, natural(one.file))
