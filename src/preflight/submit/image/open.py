"""Open an image of any kind: tell which it is by what is in it, read it, and close it again."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from stat import S_ISDIR, S_ISREG
from typing import IO, Any, NamedTuple, TypeVar

from preflight.facts.rootfs import Root
from preflight.submit.image import contents, environment, layered, oci, sif, tar
from preflight.submit.image.model import Image, ImageError
from preflight.submit.image.squashfs import MAGIC as SQUASHFS
from preflight.submit.image.squashfs import Squashfs
from preflight.submit.image.unpack import compressed
from preflight.submit.image.virtual import Virtual

T = TypeVar("T")
_EFFECTIVE = os.access in os.supports_effective_ids
_REFERENCE = re.compile(r"[a-z][a-z0-9+.-]*://\S*|[\w.-]+(:\d+)?#\S+")
FORMS = "an OCI layout, a docker save tar, a SIF, a squashfs or an unpacked root directory"


class _Meta(NamedTuple):
    """What a kind of image says beside its files."""

    architecture: str | None = None
    platforms: tuple[str, ...] = ()
    variables: environment.Variables = ({}, {}, [])
    labels: dict[str, str] = {}  # noqa: RUF012 - a NamedTuple default, never written
    notes: tuple[str, ...] = ()


def read(path: str) -> Image:
    """Read the image at ``path``; raises ImageError, one line, where there is none or it cannot be read.

    Reads as the calling user. A reference (docker://…, nvcr.io#…) is refused: nothing is downloaded. Of a layout or an
    archive of several images ``path`` names one by its tag behind ":"; without one that is an error which names them.
    """
    tag = ""
    try:
        info = os.stat(path)
    except (OSError, ValueError):
        place, tag = with_tag(path)
        if not tag:
            raise ImageError(_missing(path)) from None
        path, info = place, os.stat(place)
    try:
        if S_ISDIR(info.st_mode):
            return _directory(path, tag)
        if S_ISREG(info.st_mode):
            with open(path, "rb") as file:
                return _file(path, file, tag)
    except OSError as error:
        where = f" ({error.filename})" if error.filename and str(error.filename) != path else ""
        raise ImageError(f"{path}: {error.strerror or error}{where}") from None
    except ImageError as error:
        raise ImageError(f"{path}: {error}") from None
    except MemoryError:
        raise ImageError(f"{path}: reading it takes more memory than there is") from None
    raise ImageError(f"{path} is neither a file nor a directory: give {FORMS}")


def with_tag(text: str) -> tuple[str, str]:
    """Return (path, tag) of PATH:TAG where PATH is there; the tag "" where none is. A tag may be NAME:TAG itself."""
    for at, char in enumerate(text):
        if char == ":" and text[at + 1 :] and "\0" not in text and os.path.exists(text[:at]):
            return text[:at], text[at + 1 :]
    return text, ""


def _missing(path: str) -> str:
    if _REFERENCE.fullmatch(path) or (not path.startswith((".", "/", "~")) and ("/" in path or ":" in path)):
        return (
            f"{path} is not a file here, and Preflight downloads nothing: get it first (apptainer pull, enroot import, "
            "docker save) and give the file's path"
        )
    return f"{path}: no such file or directory; give {FORMS}"


def _untagged(tag: str, what: str) -> None:
    if tag:
        raise ImageError(f"{what} has no tags: give its path without :{tag}")


def _directory(path: str, tag: str) -> Image:
    if layered.is_layout(path):
        return _layered(path, layered.in_layout(path, tag))
    _untagged(tag, "an unpacked root")
    root = _Readable(path)
    if not root.own and not any(root.is_dir(place) or root.is_file(place) for place in ("/etc", "/usr", "/bin")):
        raise ImageError(f"neither an OCI layout (index.json) nor an unpacked root (etc, usr): give {FORMS}")
    image = _image(path, "directory", root, _Meta(variables=environment.from_root(root), labels=_labels(root)))
    denied = [f"{place} cannot be read as this user, and was left out" for place in root.denied]
    return image._replace(notes=(*image.notes, *denied))


class _Readable(Root):
    """An unpacked root as this user may read it: what is denied counts as not there, and is listed once."""

    def __init__(self, path: str) -> None:
        super().__init__(path, live=False)
        self.denied: dict[str, None] = {}

    def resolve(self, path: str) -> str | None:
        return self._allowed(path, super().resolve)

    def names(self, path: str) -> list[str] | None:
        return self._allowed(path, super().names)

    def _stat(self, real: str, path: str) -> os.stat_result | None:
        return self._allowed(path, lambda one: super(_Readable, self)._stat(real, one))

    def _allowed(self, path: str, read: Callable[[str], T | None]) -> T | None:
        try:
            return read(path)
        except PermissionError:
            self.denied.setdefault(_denied(self.path, path), None)
            return None


def _denied(root: str, path: str) -> str:
    """Return the first directory on the way to ``path`` that may not be entered or listed; else ``path``."""
    here = ""
    for part in ("", *path.strip("/").split("/")):
        here = f"{here}/{part}".replace("//", "/")
        if os.path.isdir(root + here) and not os.access(root + here, os.R_OK | os.X_OK, effective_ids=_EFFECTIVE):
            return here
    return path


def _file(path: str, file: IO[bytes], tag: str) -> Image:
    start = file.read(tar.BLOCK)
    if start[sif.MAGIC_AT :].startswith(sif.MAGIC) or start.startswith(SQUASHFS):
        _untagged(tag, "a SIF or squashfs")
    if start[sif.MAGIC_AT :].startswith(sif.MAGIC):
        return _sif(path, file)
    if start.startswith(SQUASHFS):
        root = Virtual(Squashfs(file), path)
        return _image(path, "squashfs", root, _Meta(variables=environment.from_root(root), labels=_labels(root)))
    if not may_be_archive(start):
        raise ImageError(f"not an image that Preflight knows: give {FORMS}")
    return _layered(path, layered.in_archive(file, tag, FORMS))


def may_be_archive(start: bytes) -> bool:
    """Tell whether a file that begins so (tar.BLOCK bytes of it) may be a tar, packed or not."""
    return compressed(start) or (len(start) == tar.BLOCK and tar.sound(start))


def _sif(path: str, file: IO[bytes]) -> Image:
    found = sif.read(file)
    labels = _texts(found.labels)
    kept = environment.from_definition(found.definition)
    if found.root is None:
        meta = _Meta(found.architecture, (), kept, labels, (found.why,))
        return _image(path, "sif", None, meta)
    root = Virtual(Squashfs(file, found.root), path)
    values, sources, more = environment.from_root(root)
    if not root.is_dir("/.singularity.d/env"):
        values, sources, more = {**kept[0], **values}, {**kept[1], **sources}, [*kept[2], *more]
    return _image(path, "sif", root, _Meta(found.architecture, (), (values, sources, more), labels or _labels(root)))


def _layered(path: str, found: layered.Layered) -> Image:
    return _image(path, found.kind, Virtual(found.tree, path), _configured(found.config, found.platforms, found.notes))


def _configured(config: dict[str, Any], platforms: tuple[str, ...], notes: list[str]) -> _Meta:
    variables = environment.wanted(oci.environment(config), "the image's configuration")
    return _Meta(oci.architecture(config), platforms, variables, oci.labels(config), tuple(notes))


def _labels(root: Root) -> dict[str, str]:
    try:
        text = root.read_text("/.singularity.d/labels.json")
    except OSError:
        return {}
    return _texts(text or "")


def _texts(text: str) -> dict[str, str]:
    """Return the texts of a JSON object of labels; nothing of what is malformed."""
    try:
        found = oci.parse(text.encode(), "labels") if text.strip() else {}
    except ImageError:
        return {}
    if isinstance(found.get("system-partition"), dict):  # how Singularity 3 nests them in a SIF
        found = found["system-partition"]
    return {key: value for key, value in found.items() if isinstance(value, str)}


def _image(path: str, kind: str, root: Root | None, meta: _Meta) -> Image:
    inside = contents.gather(root) if root is not None else contents.Contents(None, None, None, (), (), ())
    variables, sources, unread = meta.variables
    return Image(
        path=path,
        kind=kind,
        architecture=meta.architecture or inside.architecture,
        platforms=meta.platforms,
        environment=variables,
        sources=sources,
        labels=meta.labels,
        os=inside.os,
        libc=inside.libc,
        cuda=inside.cuda,
        compat=inside.compat,
        notes=(*meta.notes, *unread, *inside.notes),
    )
