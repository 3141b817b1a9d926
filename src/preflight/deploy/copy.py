"""Copying the package and the libraries it runs on into one directory, which needs no environment around it."""

import compileall
import os
import shutil
import subprocess
from importlib import metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import preflight
from preflight import bundle
from preflight.deploy.layout import OLDEST, DeployError

DISTRIBUTION = "slurm-preflight"


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


def copy_package(lib: str) -> None:
    """Copy everything into the new directory ``lib`` and compile it; raises OSError or DeployError."""
    os.makedirs(lib)
    for distribution in closure():
        own = distribution.metadata["Name"].lower() == DISTRIBUTION
        for file in distribution.files or []:
            source, name = str(file.locate()), str(file)
            inside = not name.startswith(("..", "/")) and "__pycache__" not in name
            mine = own and not name.split("/")[0].endswith(".dist-info")
            if inside and not mine and not name.endswith(".pth") and os.path.isfile(source):
                os.makedirs(os.path.dirname(f"{lib}/{name}"), exist_ok=True)
                shutil.copyfile(source, f"{lib}/{name}")
    shutil.copytree(
        os.path.dirname(preflight.__file__), f"{lib}/preflight", ignore=shutil.ignore_patterns("__pycache__")
    )
    # A library may carry files for other Pythons that do not compile; ours must.
    compiled = compileall.compile_dir(lib, quiet=2, workers=1) or compileall.compile_dir(f"{lib}/preflight", quiet=1)
    if not compiled:
        raise DeployError("the package does not compile with this Python: is it 3.9 or later?")
    bundle.make(f"{lib}/preflight")
