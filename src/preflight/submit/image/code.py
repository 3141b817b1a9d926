"""GPU code in a container image: a squashfs (enroot) or a SIF; its libraries are unpacked one at a time.

Layers of OCI images and docker archives are not kept, so such an image has to be unpacked first.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator

from preflight.artifacts.gpu_code import packages, places
from preflight.artifacts.gpu_code.model import CodeError
from preflight.artifacts.gpu_code.packages import Owner
from preflight.artifacts.gpu_code.places import Found
from preflight.artifacts.gpu_code.survey import Survey, collect
from preflight.files import read_plain
from preflight.submit.image import sif
from preflight.submit.image.model import ImageError
from preflight.submit.image.squashfs import MAGIC, Squashfs

_HEAD = sif.MAGIC_AT + len(sif.MAGIC)
_INFO = ".dist-info"


def is_image(path: str) -> bool:
    """Tell whether a file is a squashfs or a SIF."""
    try:
        head = read_plain(path, _HEAD)
    except (OSError, ValueError):
        return False
    return head.startswith(MAGIC) or head[sif.MAGIC_AT :] == sif.MAGIC


def survey_image(path: str) -> Survey:
    """Look into an image that `is_image`; raises CodeError where it cannot be read."""
    try:
        with open(path, "rb") as file:
            base = 0
            if file.read(len(MAGIC)) != MAGIC:
                root = sif.read(file)
                if root.root is None:
                    raise CodeError(f"{path}: {root.why}")
                base = root.root
            store = Squashfs(file, base)
            files = list(_files(store))
            owners = _owners(name for name, _ in files)
            present = {name.rpartition("/")[2] for name, _ in files}
            left = places.budget(os.fstat(file.fileno()).st_size)
            return collect(path, places.IMAGE, _found(store, files, left), owners, None, set(), present)
    except ImageError as error:
        raise CodeError(f"{path}: {error}") from None
    except OSError as error:
        raise CodeError(f"{path}: {error.strerror or error}") from None


def _files(store: Squashfs) -> Iterator[tuple[str, int]]:
    """Yield the files of an image with their sizes; links are not followed. A link's name counts as well, with 0."""
    waiting = [""]
    count = 0
    while waiting:
        directory = waiting.pop()
        for name in sorted(store.listing(directory or "/"), reverse=True):
            count += 1
            if count > places.MAX_FILES:
                raise CodeError(f"more than {places.MAX_FILES} files in the image")
            path = f"{directory}/{name}"
            entry = store.entry(path)
            if entry is not None and entry.kind == "dir":
                waiting.append(path)
            elif entry is not None and entry.kind in ("file", "link"):
                yield path[1:], entry.size if entry.kind == "file" else 0


def _found(store: Squashfs, files: list[tuple[str, int]], left: int) -> Iterator[Found]:
    """Yield the files that may hold code. ``left``: the bytes that may be unpacked, all together."""
    seen = 0
    for name, size in files:
        if size < 64 or not places.may_hold_code(name):
            continue
        if size > min(left, places.MAX_MEMBER):
            yield Found(name, None, "too large to be unpacked")
            continue
        try:
            blocks = store.blocks(f"/{name}", size)
            first = next(blocks, b"")
            if not places.begins_as_code(first, name):
                continue
            seen += 1
            if seen > places.MAX_CODE:
                raise CodeError(f"more than {places.MAX_CODE} libraries in the image")
            error = places.too_much(size, store.packed(f"/{name}"), left)
            if error:
                yield Found(name, None, error)
                continue
            left -= size
            with places.unpacked(_from(first, blocks)) as place:
                yield places.read_as(place, name)
        except ImageError as problem:
            yield Found(name, None, str(problem))
        except OSError as problem:
            if problem.errno == errno.ENOSPC:
                raise
            yield Found(name, None, problem.strerror or "cannot be read")


def _from(first: bytes, blocks: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from blocks


def _owners(names: Iterator[str]) -> dict[str, Owner]:
    """Return whose the files of site-packages are, by their folder and the .dist-info beside it."""
    versions: dict[str, Owner] = {}
    folders: dict[str, str] = {}
    for name in names:
        directory, _, rest = name.partition("-packages/")
        first = rest.partition("/")[0]
        if not rest:
            continue
        if first.endswith(_INFO):
            owner = packages.of_name(first)
            versions[f"{directory}/{owner.name.lower().replace('-', '_')}"] = owner
        else:
            folders[name] = f"{directory}/{first.lower()}"
    return {name: versions[folder] for name, folder in folders.items() if folder in versions}
