"""Copying the package and the libraries it runs on into one directory, which needs no environment around it."""

import compileall
import hashlib
import os
import py_compile
import re
import shutil
import subprocess
from importlib import metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import preflight
from preflight import bundle
from preflight.deploy import bundling
from preflight.deploy.layout import OLDEST, DeployError

DISTRIBUTION = "slurm-preflight"
# What the installer of a library wrote, and where that library came from: the same library has others.
_INSTALLERS = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")
_COMPILED = re.compile(r"\.cpython-(\d)(\d+)t?-[\w-]+\.so$")  # PEP 3149


def closure() -> list[metadata.Distribution]:
    """Return the distributions that Preflight runs on, itself first; raises DeployError for one that is missing."""
    # By the names that metadata gives: before 3.10 Python does not find backports_zstd-1.0.dist-info as backports.zstd.
    there: dict[str, metadata.Distribution] = {}
    for one in metadata.distributions():
        there.setdefault(canonicalize_name(one.metadata["Name"] or ""), one)
    found: dict[str, metadata.Distribution] = {}
    wanted = [DISTRIBUTION]
    while wanted:
        name = canonicalize_name(wanted.pop())
        if name in found:
            continue
        if name not in there:
            raise DeployError(f"the library {name} is not installed beside Preflight: pip install {name}")
        found[name] = there[name]
        for text in found[name].requires or []:
            needed = Requirement(text)
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                wanted.append(needed.name)
    return list(found.values())


def runs_by(python: str) -> None:
    """Look whether the hooks' interpreter ``python`` can run what is copied; raises DeployError where not."""
    ask = [python, "-I", "-S", "-c", "import sys; print(*sys.version_info[:2])"]
    try:
        said = subprocess.run(ask, capture_output=True, text=True, timeout=60, check=True).stdout
        version = tuple(int(part) for part in said.split())
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise DeployError(f"{python}: does not run as a Python: {error}") from error
    named = ".".join(map(str, version))
    if version < OLDEST:
        raise DeployError(f"{python} is Python {named}, and 3.9 or later is needed; name another with --python")
    if version < (3, 11) and all(one.metadata["Name"].lower() != "tomli" for one in closure()):
        raise DeployError(
            f"{python} is Python {named} and has no reader for TOML: make the virtual environment with it "
            f"({python} -m venv .venv), or pip install tomli"
        )
    compiled = _compiled_for()
    if compiled and version not in compiled:
        others = " and ".join(".".join(map(str, one)) for one in sorted(compiled))
        raise DeployError(
            f"{python} is Python {named}, and this Preflight's libraries are compiled for Python {others}: take the "
            f"one file or package made for Python {named} (scripts/onefile {python}), or a virtual environment of it"
        )


def _compiled_for() -> set[tuple[int, ...]]:
    """Return the Pythons that libraries with compiled parts are for; those of the stable ABI run on all."""
    names = (str(file) for one in closure() for file in one.files or ())
    return {(int(found[1]), int(found[2])) for found in map(_COMPILED.search, names) if found}


def sources() -> dict[str, str]:
    """Return what an installation copies, path in its lib -> path of the file now; raises DeployError."""
    found = {}
    for distribution in closure():
        own = distribution.metadata["Name"].lower() == DISTRIBUTION
        for file in distribution.files or []:
            source, name = str(file.locate()), str(file)
            inside = not name.startswith(("..", "/")) and "__pycache__" not in name
            mine = own and not name.split("/")[0].endswith(".dist-info")
            from_where = name.endswith(".dist-info/direct_url.json")
            if inside and not mine and not from_where and not name.endswith(".pth") and os.path.isfile(source):
                found[name] = source
    package = os.path.dirname(os.path.abspath(preflight.__file__))
    found.update((f"preflight/{name}", path) for name, path in files_below(package).items())
    return found


def files_below(directory: str) -> dict[str, str]:
    """Return the files below a directory, but for what was compiled from them: path in it -> path."""
    found = {}
    for place, directories, names in os.walk(directory):
        directories[:] = [name for name in directories if name != "__pycache__"]
        for name in names:
            if name != bundle.NAME:
                path = f"{place}/{name}"
                found[os.path.relpath(path, directory)] = path
    return found


def digest(files: dict[str, str]) -> str:
    """Return one SHA-256 for the names and contents of all ``files``, whoever installed them; raises OSError."""
    total = hashlib.sha256()
    for name, path in sorted(files.items()):
        directory, _, last = name.rpartition("/")
        if directory.endswith(".dist-info") and last in _INSTALLERS:
            continue
        with open(path, "rb") as file:
            total.update(f"{name}\0{hashlib.sha256(file.read()).hexdigest()}\n".encode())
    return total.hexdigest()


def copy_package(lib: str, named: str = "") -> None:
    """Copy everything into the new directory ``lib`` and compile it; raises OSError or DeployError.

    ``named``: the path by which compiled code knows itself, where ``lib`` is not to be its last place.
    """
    os.makedirs(lib)
    for name, source in sources().items():
        os.makedirs(os.path.dirname(f"{lib}/{name}"), exist_ok=True)
        shutil.copyfile(source, f"{lib}/{name}")
        second = int(os.stat(f"{lib}/{name}").st_mtime)  # as squashfs, cpio and tar keep it
        os.utime(f"{lib}/{name}", (second, second))

    def compiled(directory: str, quiet: int) -> bool:
        inside = os.path.relpath(directory, lib)
        place = os.path.normpath(os.path.join(named or lib, inside))
        # By the source's content (PEP 552): an image may give all files one time (ostree), and be read only.
        by = py_compile.PycInvalidationMode.CHECKED_HASH
        return bool(compileall.compile_dir(directory, quiet=quiet, workers=1, ddir=place, invalidation_mode=by))

    # A library may carry files for other Pythons that do not compile; ours must.
    if not (compiled(lib, 2) or compiled(f"{lib}/preflight", 1)):
        raise DeployError("the package does not compile with this Python: is it 3.9 or later?")
    bundling.make(f"{lib}/preflight", f"{named or lib}/preflight")
