"""CUDA toolkits on the node."""

from __future__ import annotations

import json
import re

from preflight.facts.answer import Answer
from preflight.facts.rootfs import Root

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

DEFAULT_PREFIXES = ("/usr/local/cuda*",)
DEBIAN = "/usr/bin/nvcc"
DEBIAN_VERSIONS = ("/usr/lib/cuda", "/usr/share/cuda")
DPKG = "/var/lib/dpkg/status"
DEBIAN_PACKAGE = re.compile(
    r"^Package: nvidia-cuda-toolkit\n(?:(?!\n)[^\n]*\n)*?Version: (?:\d+:)?([^\s]+)", re.MULTILINE
)
_DRIVER = re.compile(r"\d{3,4}(\.\d+){1,2}")
_TXT = re.compile(r"CUDA Version (\d+(?:\.\d+)+)")
_HEADER = re.compile(r"^\s*#\s*define\s+CUDA_VERSION\s+(\d{4,6})\b", re.MULTILINE)


def read(root: Root, prefixes: tuple[str, ...] = DEFAULT_PREFIXES) -> Answer:
    """Return subject ``toolkits``: versions of those with nvcc, items {version, path, nvcc}, compat {path, driver}.

    ``prefixes`` are glob patterns of toolkit directories. Links are resolved, and one directory counts once
    (/usr/local/cuda -> cuda-12.4); ``path`` is the directory itself. Debian's own package is looked for in /usr/bin.
    ``compat``: the directories of forward-compatibility packages, with the driver version that their libcuda carries.
    """
    items: dict[str, dict[str, Any]] = {}
    for pattern in prefixes:
        for path in root.glob(pattern):
            real = root.resolve(path)
            if real is not None and real not in items and root.is_dir(path):
                item = _toolkit(root, path, real)
                if item is not None:
                    items[real] = item
    debian = _debian(root, items)
    if debian is not None:
        items["/usr"] = debian
    found = list(items.values())
    versions = dict.fromkeys(item["version"] for item in found if item["nvcc"] and item["version"])
    unsure = [item["path"] for item in found if item["nvcc"] and not item["version"]]
    why = {"versions": f"no version of the toolkit in {unsure[0]}"} if unsure and not versions else {}
    return Answer({"versions": list(versions), "items": found, "compat": _compat(root, prefixes)}, why)


def _compat(root: Root, prefixes: tuple[str, ...]) -> list[dict[str, str]]:
    """Return the compat directories; an empty or dangling libcuda is none."""
    found: dict[str, dict[str, str]] = {}
    for pattern in prefixes:
        for path in root.glob(f"{pattern}/compat/libcuda.so.*"):
            version = path.rpartition("/libcuda.so.")[2]
            info = root.stat(path)
            if "." not in version or not _DRIVER.fullmatch(version) or info is None or info.st_size == 0:
                continue
            real = (root.resolve(path) or path).rpartition("/")[0]
            found.setdefault(f"{real} {version}", {"path": real, "driver": version})
    return list(found.values())


def _toolkit(root: Root, path: str, real: str) -> dict[str, Any] | None:
    version = _version(root, path)
    nvcc = root.is_file(f"{path}/bin/nvcc")
    return {"version": version, "path": real, "nvcc": nvcc} if version or nvcc else None


def _version(root: Root, path: str) -> str | None:
    """Return a toolkit's version: version.json (with the update), version.txt (before 11.1), else cuda.h."""
    text = root.read_text(f"{path}/version.json") if root.is_file(f"{path}/version.json") else None
    version = _json_version(text) if text else None
    if version is None and root.is_file(f"{path}/version.txt"):
        found = _TXT.search(root.read_text(f"{path}/version.txt") or "")
        version = found[1] if found else None
    return version or _header_version(root, f"{path}/include/cuda.h")


def _json_version(text: str) -> str | None:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return None
    cuda = data.get("cuda") if isinstance(data, dict) else None
    version = cuda.get("version") if isinstance(cuda, dict) else None
    return version if isinstance(version, str) and re.fullmatch(r"\d+(\.\d+)+", version) else None


def _header_version(root: Root, path: str) -> str | None:
    """Return "12.4" of "#define CUDA_VERSION 12040"."""
    found = _HEADER.search(root.read_text(path, 8 << 20) or "") if root.is_file(path) else None
    if not found:
        return None
    number = int(found[1])
    return f"{number // 1000}.{number % 1000 // 10}"


def _debian(root: Root, items: dict[str, dict[str, Any]]) -> dict[str, Any] | None:
    """Return Debian's toolkit, None where there is none or /usr/bin/nvcc is a link into one already counted."""
    if not root.is_file(DEBIAN):
        return None
    real = root.resolve(DEBIAN) or DEBIAN
    if any(real.startswith(f"{place}/") for place in items):
        return None
    version = next((found for place in DEBIAN_VERSIONS if (found := _version(root, place))), None)
    version = version or _header_version(root, "/usr/include/cuda.h") or _dpkg_version(root)
    return {"version": version, "path": "/usr", "nvcc": True}


def _dpkg_version(root: Root) -> str | None:
    """Return the release in dpkg's version: "11.8.89~11.8.0-5~deb12u1" is 11.8.0, "10.2.89-2" is 10.2."""
    found = DEBIAN_PACKAGE.search(root.read_text(DPKG, 64 << 20) or "") if root.is_file(DPKG) else None
    if not found:
        return None
    build, _, release = found[1].partition("~")
    text = release if re.match(r"\d+\.\d+", release) else ".".join(build.split(".")[:2])
    number = re.match(r"\d+(?:\.\d+)+", text)
    return number[0] if number else None
