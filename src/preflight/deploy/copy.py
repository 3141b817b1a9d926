"""Copying the package and the libraries it runs on into one directory, which needs no environment around it."""

import compileall
import os
import shutil
from importlib import metadata

from packaging.requirements import Requirement

import preflight
from preflight import bundle
from preflight.deploy.layout import DeployError

DISTRIBUTION = "slurm-preflight"


def closure() -> list[metadata.Distribution]:
    """Return the distributions that Preflight runs on, itself first; raises DeployError for one that is missing."""
    found: dict[str, metadata.Distribution] = {}
    wanted = [DISTRIBUTION]
    while wanted:
        name = wanted.pop()
        if name in found:
            continue
        try:
            found[name] = metadata.distribution(name)
        except metadata.PackageNotFoundError as error:
            raise DeployError(f"the library {name} is not installed beside Preflight: pip install {name}") from error
        for text in found[name].requires or []:
            needed = Requirement(text)
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                wanted.append(needed.name)
    return list(found.values())


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
        raise DeployError("the package does not compile with this Python: is it 3.11 or later?")
    bundle.make(f"{lib}/preflight")
