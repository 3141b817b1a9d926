"""slurm.conf and gres.conf, as slurmd reads them for one node."""

from __future__ import annotations

import os

from preflight.digits import is_whole
from preflight.slurm.gres.device_files import expand, target
from preflight.slurm.gres.installed import Installed, installed
from preflight.slurm.gres.model import Gres, Line, release_number
from preflight.slurm.gres.syntax import ConfError, Files, pairs, parsed

UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


def read(conf_directory: str, node: str, release: str = "") -> Gres:
    """Return what slurm.conf and gres.conf in ``conf_directory`` give ``node``; never raises.

    ``release``: of the slurmd that reads them ("22.05"), taken to have all its plugins; "" for what is installed here.
    """
    return read_with_files(conf_directory, node, release)[0]


def read_with_files(
    conf_directory: str, node: str, release: str = "", slurmd: str = "", pid: int = 0
) -> tuple[Gres, list[str]]:
    """Return `read`'s answer and the paths it depends on, of which some may be missing.

    ``slurmd``: the daemon's own path, where it is known; its plugins tell the release.
    """
    files = Files()
    gres, plugins = Gres(), ""
    try:
        slurm = _slurm_conf(conf_directory, node, files)
        gres, plugins = gres._replace(wanted=slurm[0], shared=slurm[2]), slurm[1]
        gres = _gres_conf(gres, conf_directory, node, files)
        if os.path.exists(f"{conf_directory}/fake_gpus.conf"):
            raise ConfError(f"{conf_directory}/fake_gpus.conf: slurmd takes its GPUs from a test file")
    except ConfError as error:
        gres = gres._replace(problem=str(error))
    known = installed(plugins, slurmd, pid) if not release_number(release) else Installed(release_number(release), True)
    gres = gres._replace(release=known.release, nvml=known.nvml)
    links = [path for line in gres.lines for path in line.files if os.path.islink(path)]
    return gres, [*files.paths, f"{conf_directory}/fake_gpus.conf", *known.paths, *links]


def _slurm_conf(directory: str, node: str, files: Files) -> tuple[tuple[tuple[str | None, int], ...] | None, str, bool]:
    """Return the GPUs that slurm.conf's Gres= gives ``node``, None where it does not name it; PluginDir; `shares`.

    A dynamic node, which slurm.conf does not name, may share its GPUs wherever GresTypes= has a way to.
    """
    if not os.path.exists(f"{directory}/slurm.conf"):
        files.paths.append(f"{directory}/slurm.conf")
        return None, "", False
    default: str | None = None
    found: str | None = None
    known, types, plugins = False, "", ""
    for line in files.lines(directory, "slurm.conf"):
        keys = pairs(line)
        first = next(iter(keys), "")
        if first == "nodename" and keys["nodename"].upper() == "DEFAULT":
            default = keys.get("gres", default)
        elif first == "nodename" and names(keys["nodename"], node):
            known, found = True, keys.get("gres", default)
        elif first == "grestypes":
            types = keys["grestypes"]
        elif first == "plugindir":
            plugins = keys["plugindir"]
    if not known:
        return None, plugins, shares(types)  # a dynamic node brings its own Gres=
    if "gpu" not in types.lower().split(","):
        return (), plugins, False
    return wanted(found or ""), plugins, shares(found or "")


def shares(text: str) -> bool:
    """Return whether "gpu:2,shard:8" (Gres=, or GresTypes=) has what lets several jobs have one GPU: shards or MPS."""
    return any(token.strip().lower().partition(":")[0] in ("shard", "mps") for token in text.split(","))


def wanted(text: str) -> tuple[tuple[str | None, int], ...]:
    """Return the (type or None, count) of the GPUs in "gpu:a100:2,gpu:v100:2(S:0),shard:8"; one entry a type."""
    total, types = 0, dict[str, int]()
    for token in text.split(","):
        if token == "gpu":
            total = 1
            break
        if not token.startswith("gpu:"):
            continue
        kinds = token.rpartition("(")[0] if "(" in token else token
        head, _, last = kinds.rpartition(":")
        count = 1
        if is_whole(last[:1]):
            number = last.rstrip("KMGkmgibIB")
            unit = UNITS.get(last[len(number) :].lower()[:1])
            if not is_whole(number) or unit is None:
                raise ConfError(f"slurm.conf: Gres={token[:60]} has no count")
            kinds, count = head, int(number) * unit
        total += count
        for kind in kinds.split(":")[1:]:
            if kind and kind.lower() != "no_consume":
                types[kind] = types.get(kind, 0) + count
    if types and total > sum(types.values()):
        raise ConfError("slurm.conf: some of the node's GPUs have a type and some have none")
    return tuple(types.items()) if types else ((None, total),) if total else ()


def _gres_conf(gres: Gres, directory: str, node: str, files: Files) -> Gres:
    """Return ``gres`` with gres.conf's lines for ``node``: those that begin with Name= come before NodeName=.

    Raises ConfError for a line that slurmd refuses: it does not start then, and runs with what stood there before.
    """
    if not os.path.exists(f"{directory}/gres.conf"):
        files.paths.append(f"{directory}/gres.conf")
        return gres
    everywhere, here = list[Line](), list[Line]()
    over_all, of_node = "", ""
    for text in files.lines(directory, "gres.conf"):
        keys, rest = parsed(text)
        first = next(iter(keys), "")
        if first == "autodetect" and len(keys) == 1 and not rest:
            over_all = keys["autodetect"]
            continue
        if rest or first not in ("name", "nodename") or (first == "name" and "nodename" in keys):
            raise ConfError(f"gres.conf: slurmd refuses the line {text[:60]!r}")
        if first == "nodename":
            if not names(keys["nodename"], node):
                continue
            of_node = keys.get("autodetect", of_node)
        if keys.get("name", "").lower() == "gpu":
            (everywhere if first == "name" else here).append(_line(keys))
    lines = (*everywhere, *here)
    for key, given in (("Type=", [line.type is None for line in lines]), ("File=", [not line.files for line in lines])):
        if len(set(given)) > 1:
            raise ConfError(f"gres.conf: slurmd refuses GPUs of which some have {key} and some have none")
    return gres._replace(lines=lines, autodetect=of_node or over_all)


def _line(keys: dict[str, str]) -> Line:
    text = keys.get("file") or keys.get("files") or keys.get("multiplefiles") or ""
    multiple = "multiplefiles" in keys
    try:
        files = expand(text)
    except ValueError as error:
        raise ConfError(f"gres.conf: File={text[:60]}: {error}") from error
    if multiple and len(files) < 2:
        raise ConfError(f"gres.conf: slurmd refuses MultipleFiles={text[:60]}, which is one file: write File=")
    count = 1 if multiple else len(files) or 1
    said = keys.get("count", "")
    if not files and is_whole(said, 5):
        count = int(said)
    elif said and said != str(count):
        raise ConfError(f"gres.conf: Count={said[:20]} does not match File={text[:60]}")
    links = keys.get("links") or keys.get("link") or ""
    targets = tuple(target(path) for path in files)
    return Line(keys.get("type"), text, files, targets, count, links, multiple)


def names(hosts: str, node: str) -> bool:
    """Return whether ``node`` is among ``hosts``, a host list; raises ConfError for what is none."""
    if hosts == node:
        return True
    from preflight.hostlist import HostlistError, contains

    try:
        return contains(hosts, node)
    except HostlistError as error:
        raise ConfError(f"NodeName={hosts[:60]}: {error}") from error
