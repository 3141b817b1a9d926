"""Python environments on disk: where one of a name lies, and which CUDA its packages were built with."""

from __future__ import annotations

import re
from typing import NamedTuple

from preflight.facts.rootfs import Root
from preflight.submit import packages
from preflight.submit.image.model import Found

_CONDA = packages.conda_names("cuda-cudart", "cudatoolkit", "pytorch-cuda")
# Where installers put conda by default, beneath the home directory and beside it. Sources: the installers' defaults.
_HOMES = ("miniconda3", "miniforge3", "mambaforge", "anaconda3", "micromamba", ".conda", ".local/share/mamba")
_SHARED = ("/opt/conda", "/opt/miniconda3", "/opt/miniforge3", "/opt/anaconda3")
_ENVS_DIRS = re.compile(r"^envs_dirs:\s*\n((?:\s*-\s*.+\n?)+)", re.MULTILINE)
# The node's own Python, not the user's: what this machine has there says nothing of the node.
SYSTEM = ("", "/usr", "/usr/local")
MAX_ENVIRONMENTS = 1000


class Cuda(NamedTuple):
    """The CUDA of an environment, ``version`` "12.4", and ``why``: the file that says it."""

    version: str
    why: str


def cuda(files: Root, prefix: str) -> Cuda | None:
    """Return the CUDA that the environment at ``prefix`` was built with, None where nothing in it says.

    PyTorch's own word counts first, then the runtime's packages; of several the highest. Raises OSError where
    something cannot be read.
    """
    found = list(packages.python(files, packages.sites(files, prefix)))
    found += packages.named(files, [f"{prefix}/conda-meta"], _CONDA, "conda")
    torch = [one for one in found if one.kind == "torch"]
    best = max(torch or found, key=_version, default=None)
    if best is None:
        return None
    version = ".".join(str(part) for part in _version(best))
    if best.kind == "torch":
        return Cuda(version, f"torch/version.py of {prefix} says cuda {version}")
    return Cuda(version, f"{best.where.rpartition('/')[2]} in {prefix} is of CUDA {version}")


def _version(one: Found) -> tuple[int, int]:
    major, _, rest = one.version.partition(".")
    return int(major[:4]), int(rest.partition(".")[0][:4] or 0)


def conda_prefixes(
    files: Root, name: str, home: str, environment: dict[str, str], named: list[str]
) -> tuple[list[str], bool]:
    """Return where conda's environment ``name`` lies, and whether that is sure.

    ``named``: installations that the script itself names; one found there is the one. Else all that are found.
    """
    if name in ("base", "root"):
        roots = (
            named or _own_roots(environment) or [root for root in _roots(home) if files.is_dir(f"{root}/conda-meta")]
        )
        return _present(files, roots), True
    for roots in (named, _own_roots(environment)):
        sure = _present(files, [f"{root}/envs/{name}" for root in roots])
        if sure:
            return sure[:1], True
    places = [f"{place}/{name}" for place in _envs_dirs(files, home, environment)]
    places += [f"{root}/envs/{name}" for root in _roots(home)]
    places += [path for path in _listed(files, home) if path.rpartition("/")[2] == name]
    return _present(files, places), False


def _roots(home: str) -> list[str]:
    return [*(f"{home}/{name}" for name in _HOMES), *_SHARED]


def _own_roots(environment: dict[str, str]) -> list[str]:
    """Return the installations that the user's own shell has set up."""
    binary = environment.get("CONDA_EXE", "")
    roots = [binary.rpartition("/bin/")[0]] if "/bin/" in binary else []
    return [*roots, *(environment[name] for name in ("MAMBA_ROOT_PREFIX",) if environment.get(name))]


def _envs_dirs(files: Root, home: str, environment: dict[str, str]) -> list[str]:
    """Return the directories of environments that the user has configured, absolute ones."""
    set_to = environment.get("CONDA_ENVS_DIRS") or environment.get("CONDA_ENVS_PATH") or ""
    found = [one for one in set_to.split(":") if one]
    text = _text(files, f"{home}/.condarc")
    listed = _ENVS_DIRS.search(text)
    for line in listed[1].splitlines() if listed else ():
        found.append(line.strip().lstrip("-").strip().strip("'\""))
    return [re.sub(r"^~(?=/)|^\$HOME(?=/)|^\$\{HOME\}(?=/)", lambda _: home, one).rstrip("/") for one in found]


def _listed(files: Root, home: str) -> list[str]:
    """Return the environments that conda itself has noted down."""
    return [line.strip() for line in _text(files, f"{home}/.conda/environments.txt").splitlines()[:MAX_ENVIRONMENTS]]


def _text(files: Root, path: str) -> str:
    try:
        return files.read_text(path) or "" if files.is_file(path) else ""
    except OSError:
        return ""


def _present(files: Root, places: list[str]) -> list[str]:
    """Return the places that are there, each directory once."""
    seen: dict[str, str] = {}
    for place in places:
        if place.startswith("/") and "\0" not in place and files.is_dir(place):
            seen.setdefault(files.resolve(place) or place, place)
    return list(seen.values())
