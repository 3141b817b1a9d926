"""From Slurm's GPU numbers to the driver's: gres.conf's File= gives the minor number.

SLURM_JOB_GPUS holds positions in the node's list of gres devices; that is neither NVML's index nor the minor number
(seen on 22.05, 24.11 and 26.05).
"""

from __future__ import annotations

import os

from preflight import __version__
from preflight.files import read_json, tolerate, write_json
from preflight.tuples import NamedTuple


class Gres(NamedTuple):
    """The GPUs of a node as gres.conf lists them: minor numbers in Slurm's order, or why they are not known."""

    minors: tuple[int, ...] = ()
    problem: str = ""


def read_gres(conf_directory: str, node: str) -> Gres:
    """Return the node's GPU minors from ``conf_directory``/gres.conf; never raises.

    Without the file, or with AutoDetect and no File=, Slurm's order is not to be known from here.
    """
    path = f"{conf_directory}/gres.conf"
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            text = file.read(1 << 20)
    except OSError as error:
        return Gres(problem=f"{path}: {error.strerror}")
    return parse_gres(text, node)


def parse_gres(text: str, node: str) -> Gres:
    """Return the GPU minors that gres.conf's ``text`` gives ``node``, in Slurm's order."""
    minors: list[int] = []
    problem = ""
    for line in _logical_lines(text):
        values = dict(_pairs(line))
        if values.get("name", "").lower() != "gpu" or not _names(values.get("nodename"), node):
            continue
        if "multiplefiles" in values:
            problem = "gres.conf uses MultipleFiles= (MIG): Slurm's numbers do not name one GPU each"
        elif "file" not in values:
            problem = "gres.conf names no File= for this node's GPUs"
        else:
            found = _minors(values["file"])
            if found is None:
                problem = f"gres.conf: File={values['file'][:60]} does not end in a minor number"
            minors += found or []
    if not minors and not problem:
        problem = "gres.conf lists no GPU for this node"
    if len(set(minors)) != len(minors):
        problem = "gres.conf lists a GPU twice (MIG): Slurm's numbers do not name one GPU each"
    return Gres(tuple(minors), problem)


def conf_directory(slurm_conf: str) -> str:
    """Return where gres.conf stands: beside slurm.conf, in a configless node's copy, or /etc/slurm."""
    places = ([os.path.dirname(slurm_conf)] if slurm_conf else []) + [
        "/run/slurm/conf",
        "/etc/slurm",
        "/etc/slurm-llnl",
    ]
    return next((place for place in places if os.path.exists(f"{place}/gres.conf")), places[0])


def _logical_lines(text: str) -> list[str]:
    return [line.split("#", 1)[0].strip() for line in text.replace("\\\n", " ").splitlines()]


def _pairs(line: str) -> list[tuple[str, str]]:
    words = (word.partition("=") for word in line.split())
    return [(key.lower(), value) for key, equals, value in words if equals]


def _names(nodes: str | None, node: str) -> bool:
    return nodes is None or node in _expand(nodes)


def _minors(files: str) -> list[int] | None:
    minors = []
    for path in _expand(files):
        digits = path[len(path.rstrip("0123456789")) :]
        if not digits:
            return None
        minors.append(int(digits))
    return minors


def _expand(text: str) -> list[str]:
    if "[" not in text:
        return text.split(",")
    from preflight.hostlist import HostlistError, in_order

    try:
        return in_order(text)
    except HostlistError:
        return []


def cached_gres(directory: str, node: str, run_dir: str) -> Gres:
    """Return `read_gres`, kept in ``run_dir`` while gres.conf is the same file: host lists cost an import."""
    try:
        info = os.stat(f"{directory}/gres.conf")
    except OSError as error:
        return Gres(problem=f"{directory}/gres.conf: {error.strerror}")
    key = [directory, info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns, __version__]
    place = f"{run_dir}/gres-{node}.json"
    stored = read_json(place)
    if isinstance(stored, dict) and stored.get("key") == key:
        return Gres(tuple(stored["minors"]), stored["problem"])
    gres = read_gres(directory, node)
    with tolerate(OSError):
        write_json(place, {"key": key, "minors": gres.minors, "problem": gres.problem})
    return gres
