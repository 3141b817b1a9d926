"""CUDA in Python packages and conda packages, from the names and files that they leave; nothing is imported."""

import re
from collections.abc import Iterable, Iterator

from preflight.facts.rootfs import Root
from preflight.submit.image.model import Found

_WHEEL = re.compile(r"nvidia_cuda_runtime(?:_cu\d+)?-(\d+\.\d+(?:\.\d+)*)[^/]*\.dist-info")
_TORCH = re.compile(r"^cuda(?:\s*:[^=\n]*)?\s*=\s*['\"](\d+\.\d+(?:\.\d+)?)['\"]", re.MULTILINE)
_PYTHON = re.compile(r"python3(\.\d+)?t?")


def conda_names(*packages: str) -> "re.Pattern[str]":
    """Return what matches conda-meta's file of one of some packages; its group 1 is the version."""
    names = "|".join(re.escape(name) for name in packages)
    return re.compile(rf"(?:{names})-(\d+\.\d+(?:\.\d+)*)-[^/]*\.json")


def sites(root: Root, prefix: str) -> list[str]:
    """Return the site-packages directories of the environment at ``prefix``."""
    found = []
    for lib in ("lib", "lib64"):
        for name in root.names(f"{prefix}/{lib}") or []:
            if _PYTHON.fullmatch(name):
                found += [
                    f"{prefix}/{lib}/{name}/{kind}-packages"
                    for kind in ("site", "dist")
                    if root.is_dir(f"{prefix}/{lib}/{name}/{kind}-packages")
                ]
    return found


def python(root: Root, directories: Iterable[str]) -> Iterator[Found]:
    """Yield what wheels in site-packages directories say: kind "pip" for CUDA's runtime, "torch" for PyTorch's build.

    Raises OSError for a directory or file that cannot be read, and for a version.py of more than a MiB.
    """
    for real in _once(root, directories):
        for name in root.names(real) or []:
            found = _WHEEL.fullmatch(name)
            if found:
                yield Found("pip", found[1], f"{real}/{name}")
        path = f"{real}/torch/version.py"
        built = _TORCH.search(root.read_text(path) or "") if root.is_file(path) else None
        if built:
            yield Found("torch", built[1], path)


def named(root: Root, directories: Iterable[str], pattern: "re.Pattern[str]", kind: str) -> Iterator[Found]:
    """Yield the names in directories that match, each file once; of libcudart.so.12 and its links the fullest."""
    for real in _once(root, directories):
        matches = [(found[1], name) for name in root.names(real) or [] if (found := pattern.fullmatch(name))]
        for version, name in matches:
            longer = any(other.startswith(f"{version}.") for other, _ in matches)
            if not longer and root.stat(f"{real}/{name}") is not None:
                yield Found(kind, version, f"{real}/{name}")


def _once(root: Root, directories: Iterable[str]) -> Iterator[str]:
    """Yield the directories that exist, links resolved, each once."""
    seen: set[str] = set()
    for directory in directories:
        real = root.resolve(directory)
        if real is not None and real not in seen:
            seen.add(real)
            yield real
