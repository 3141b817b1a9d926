"""GPU code in a container image: a squashfs (enroot), a SIF, an OCI layout or what `docker save` writes.

Its libraries are unpacked one at a time. One of a layer counts where no later layer hides it.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from typing import IO

from preflight.artifacts.gpu_code import packages, places
from preflight.artifacts.gpu_code.model import CodeError
from preflight.artifacts.gpu_code.packages import Owner
from preflight.artifacts.gpu_code.places import Found
from preflight.artifacts.gpu_code.survey import Survey, collect
from preflight.files import read_plain
from preflight.submit.image import sif
from preflight.submit.image.layered import Layered, in_archive, in_layout, is_layout
from preflight.submit.image.layers import MAX_NAME, Keep, Node
from preflight.submit.image.model import ImageError
from preflight.submit.image.open import FORMS, may_be_archive, with_tag
from preflight.submit.image.squashfs import MAGIC, Squashfs
from preflight.submit.image.tar import BLOCK, Member
from preflight.submit.image.unpack import CHUNK, Budget, Stream

_INFO = ".dist-info"


def is_image(path: str) -> bool:
    """Tell whether a path, or PATH:TAG, is an image: a squashfs, a SIF, a tar or an OCI layout."""
    place = path if os.path.exists(path) else with_tag(path)[0]
    if os.path.isdir(place):
        return is_layout(place) and os.path.isdir(os.path.join(place, "blobs"))
    try:
        head = read_plain(place, BLOCK)
    except (OSError, ValueError):
        return False
    return head.startswith(MAGIC) or head[sif.MAGIC_AT :].startswith(sif.MAGIC) or may_be_archive(head)


def survey_image(path: str) -> Survey:
    """Look into an image that `is_image`; raises CodeError where it cannot be read."""
    place, tag = (path, "") if os.path.exists(path) else with_tag(path)
    try:
        if os.path.isdir(place):
            return _of_layers(path, lambda keep: in_layout(place, tag, keep), _size(os.path.join(place, "blobs")))
        with open(place, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            head = file.read(BLOCK)
            file.seek(0)
            if head.startswith(MAGIC) or head[sif.MAGIC_AT :].startswith(sif.MAGIC):
                return _of_squashfs(path, file, size)
            return _of_layers(path, lambda keep: in_archive(file, tag, FORMS, keep), size)
    except ImageError as error:
        raise CodeError(f"{path}: {error}") from None
    except OSError as error:
        raise CodeError(f"{path}: {error.strerror or error}") from None


def _size(blobs: str) -> int:
    """Return the bytes of an OCI layout's blobs, of whatever digests; links and what cannot be looked at are none."""
    size = 0
    for directory, below, names in os.walk(blobs):
        del below[: len(below) if directory != blobs else 0]
        for name in names:
            try:
                info = os.lstat(os.path.join(directory, name))
            except OSError:
                continue
            size += info.st_size if stat.S_ISREG(info.st_mode) else 0
    return size


def _of_squashfs(path: str, file: IO[bytes], size: int) -> Survey:
    base = 0
    if file.read(len(MAGIC)) != MAGIC:
        root = sif.read(file)
        if root.root is None:
            raise CodeError(f"{path}: {root.why}")
        base = root.root
    store = Squashfs(file, base)
    files = list(_files(store))
    names = [name for name, _ in files]
    return _collected(path, names, _found(store, files, places.budget(size)))


def _of_layers(path: str, opened: Callable[[Keep], Layered], size: int) -> Survey:
    """Return the survey of an image of layers. ``size``: the bytes that it takes."""
    left = [places.budget(size), places.MAX_CODE]

    def keep(name: str, member: Member, stream: Stream, budget: Budget) -> Node | None:
        if member.kind in ("link", "hard"):
            return Node(member.kind, 0, member.target) if len(member.target) <= MAX_NAME else None
        if member.kind != "file" or not places.may_hold_code(name):
            return None
        return Node("file", member.size, found=_in_layer(name[1:], member, stream, left))

    image = opened(keep)
    nodes = list(image.tree.nodes())
    # A hard link is the file that it links to: it comes once.
    files = {id(node.found): node.found._replace(name=name[1:]) for name, node in reversed(nodes) if node.found}
    lacking = [
        Found(*_split(note)) for note in image.notes if note.endswith("not read") or "none is for this machine" in note
    ]
    return _collected(path, [name[1:] for name, _ in nodes], [*reversed(files.values()), *lacking])


def _split(note: str) -> tuple[str, None, str]:
    """Return a note on an image as what it is about, and what it says of that."""
    what, space, said = note.partition(" is ")
    return (what, None, f"is {said}") if space else ("the image", None, note)


def _in_layer(name: str, member: Member, stream: Stream, left: list[int]) -> Found | None:
    """Return what a file of a layer holds, None where that is no code.

    ``left``: the bytes and the files that may be unpacked.
    """
    if member.size < 64:
        return None
    if not member.plain:
        return Found(name, None, "a sparse file of its layer")
    head = stream.exactly(64)
    if not places.begins_as_code(head, name):
        return None
    if member.size > min(left[0], places.MAX_MEMBER):
        return Found(name, None, "too large to be unpacked")
    left[0] -= member.size
    left[1] -= 1
    if left[1] < 0:
        raise ImageError(f"more than {places.MAX_CODE} libraries in the image")

    def rest() -> Iterator[bytes]:
        todo = member.size - len(head)
        while todo > 0:
            part = stream.exactly(min(todo, CHUNK))
            todo -= len(part)
            yield part

    with places.unpacked(_from(head, rest())) as place:
        return places.read_as(place, name)


def _collected(path: str, names: list[str], found: Iterable[Found]) -> Survey:
    present = {name.rpartition("/")[2] for name in names}
    return collect(path, places.IMAGE, found, _owners(iter(names)), None, set(), present)


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
