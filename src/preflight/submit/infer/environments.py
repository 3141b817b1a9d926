"""Python environments on disk: where one of a name lies, and which CUDA its packages were built with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from preflight.facts.rootfs import Root
from preflight.submit import packages
from preflight.submit.image.model import Found

_CONDA = packages.conda_names("cuda-cudart", "cudatoolkit", "pytorch-cuda")
# Where installers put conda by default, beneath the home directory and beside it. Sources: the installers' defaults.
_HOMES = ("miniconda3", "miniforge3", "mambaforge", "anaconda3", "micromamba", ".conda", ".local/share/mamba")
SHARED = ("/opt/conda", "/opt/miniconda3", "/opt/miniforge3", "/opt/anaconda3")
_ENVS_DIRS = re.compile(r"^envs_dirs:\s*\n((?:\s*-\s*.+\n?)+)", re.MULTILINE)
# The node's own Python, not the user's: what this machine has there says nothing of the node.
SYSTEM = ("", "/usr", "/usr/local")
MAX_ENVIRONMENTS = 1000
_KEY = re.compile(r"^[ \t]*([\w-]+)[ \t]*=[ \t]*(.*?)[ \t]*$", re.MULTILINE)  # of pyvenv.cfg


class Cuda(NamedTuple):
    """The CUDA of an environment, ``version`` "12.4", ``why``: the file that says it, ``torch``: it is PyTorch's."""

    version: str
    why: str
    torch: bool = False


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
        return Cuda(version, f"torch/version.py of {prefix} says cuda {version}", True)
    return Cuda(version, f"{best.where.rpartition('/')[2]} in {prefix} is of CUDA {version}")


def _version(one: Found) -> tuple[int, int]:
    major, _, rest = one.version.partition(".")
    return int(major[:4]), int(rest.partition(".")[0][:4] or 0)


def base(files: Root, prefix: str) -> str | None:
    """Return the Python installation whose packages a virtual environment uses beside its own, None for no such one.

    "" where it is not told. Source: PEP 405 (home, include-system-site-packages).
    """
    keys = dict(_KEY.findall(_text(files, f"{prefix}/pyvenv.cfg")))
    if keys.get("include-system-site-packages", "").lower() != "true":
        return None
    home = keys.get("home", "").rstrip("/")
    return home.removesuffix("/bin") if home.startswith("/") and home.endswith("/bin") else ""


def at_submit(environment: Mapping[str, str]) -> str:
    """Return the environment that was activated where the job is submitted, which sbatch hands on; "" for none."""
    first = environment.get("PATH", "").split(":")
    found = [one.rstrip("/") for name in ("VIRTUAL_ENV", "CONDA_PREFIX") if (one := environment.get(name, ""))]
    found = [one for one in found if one.startswith("/") and "\0" not in one]
    return min(found, key=lambda one: first.index(f"{one}/bin") if f"{one}/bin" in first else len(first), default="")


def conda_prefixes(
    files: Root, name: str, home: str, environment: dict[str, str], named: list[str]
) -> tuple[list[str], bool]:
    """Return all places where conda's environment ``name`` may lie, and whether they are those in which conda looks.

    ``named``: installations that the script itself names; else the user's shell tells one. Without either all that are
    usual are looked at.
    """
    own = list(dict.fromkeys(named or _own_roots(environment)))
    if name in ("base", "root"):
        roots = own or [root for root in _roots(home) if files.is_dir(f"{root}/conda-meta")]
        return _present(files, roots), bool(own)
    places = [f"{place}/{name}" for place in _envs_dirs(files, home, environment)]
    if own:
        return _present(files, [*places, *(f"{root}/envs/{name}" for root in (*own, f"{home}/.conda"))]), True
    places += [f"{root}/envs/{name}" for root in _roots(home)]
    places += [path for path in _listed(files, home) if path.rpartition("/")[2] == name]
    return _present(files, places), False


def _roots(home: str) -> list[str]:
    return [*(f"{home}/{name}" for name in _HOMES), *SHARED]


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
