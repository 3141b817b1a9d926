"""A tar file that holds an image: `docker save` (manifest.json), or an OCI layout in a tar.

A plain tar is read in place. A compressed one is unpacked twice, forward: once for its names and small files, once for
the layers, in the order in which they lie there.
"""

import posixpath
from typing import IO, Any, Optional

from preflight.submit.image import oci
from preflight.submit.image.layers import Keep, Layer, Tree, scan
from preflight.submit.image.model import ImageError
from preflight.submit.image.tar import Member, members
from preflight.submit.image.unpack import Budget, Forward, Stream, Window, compressed, opened

MAX_SMALL = 8 << 20
MAX_SMALL_ALL = 128 << 20
MAX_FILES = 20_000


class Archive:
    """The members of the outer tar, by name; small ones with their content where the file is compressed."""

    def __init__(self, file: IO[bytes], budget: Budget, keep: Optional[Keep] = None) -> None:
        self._file = file
        self._budget = budget
        self._keep = keep
        self._packed = compressed(_start(file))
        self.members: dict[str, Member] = {}
        self._small: dict[str, bytes] = {}
        self._links: dict[str, str] = {}
        stream = opened(file, budget, "the archive") if self._packed else None
        self._index() if stream is None else self._index_stream(stream)

    def has(self, name: str) -> bool:
        """Tell whether the archive holds a file of that name."""
        return self._real(name) in self.members

    def small(self, name: str) -> bytes:
        """Return a small file's bytes; ImageError where it is not there or not small."""
        real = self._real(name)
        member = self.members.get(real)
        if member is None:
            raise ImageError(f"{name} is missing in the archive: save the image again")
        if member.size > MAX_SMALL:
            raise ImageError(
                f"{name} in the archive is larger than {MAX_SMALL >> 20} MiB: the image is damaged or hostile"
            )
        if self._packed:
            if real not in self._small:
                raise ImageError(
                    f"{name} in the archive is too large beside the others: the image is damaged or hostile"
                )
            return self._small[real]
        return Window(self._file, member.offset, member.size).read()

    def stack(self, names: list[tuple[str, str]]) -> Tree:
        """Return the layers merged, the first lowest; ``names`` is (member's name, what to call it)."""
        wanted = {self._real(name): what for name, what in names}
        missing = next((what for name, what in wanted.items() if name not in self.members), None)
        if missing:
            raise ImageError(f"{missing} is missing in the archive: save the image again")
        found = self._scan_forward(wanted) if self._packed else {}
        tree = Tree()
        for name, what in names:
            real = self._real(name)
            tree.add(found[real] if self._packed else self._scan(real, what))
        return tree

    def _scan(self, name: str, what: str) -> Layer:
        member = self.members[name]
        stream = opened(Window(self._file, member.offset, member.size), self._budget, what)
        return scan(stream, self._budget, what, self._keep)

    def _scan_forward(self, wanted: dict[str, str]) -> dict[str, Layer]:
        found: dict[str, Layer] = {}
        self._file.seek(0)
        stream = opened(self._file, self._budget, "the archive")
        for member in members(stream, self._budget, "the archive"):
            name = _name(member.name)
            if name in wanted and self.members[name].offset == member.offset:
                inner = Forward(stream, member.size)
                found[name] = scan(opened(inner, self._budget, wanted[name]), self._budget, wanted[name], self._keep)
        return found

    def _index(self) -> None:
        """Read the headers of a plain tar, jumping over the data."""
        self._file.seek(0)
        stream = _Jumping(self._file, self._budget)
        for member in members(stream, self._budget, "the archive"):
            self._note(member)

    def _index_stream(self, stream: Any) -> None:
        held = 0
        for member in members(stream, self._budget, "the archive"):
            self._note(member)
            if member.kind == "file" and member.size <= MAX_SMALL and held + member.size <= MAX_SMALL_ALL:
                held += member.size
                self._small[_name(member.name)] = stream.exactly(member.size)

    def _note(self, member: Member) -> None:
        name = _name(member.name)
        if member.kind == "file":
            self.members[name] = member
            self._links.pop(name, None)
        elif member.kind in ("link", "hard"):  # docker save links a layer that two images share
            place = "" if member.kind == "hard" else posixpath.dirname(name)
            self._links[name] = _name(posixpath.join(place, member.target))
        if len(self.members) + len(self._links) > MAX_FILES:
            raise ImageError(
                "the archive holds more files than an image does: give a `docker save` tar or an OCI layout"
            )

    def _real(self, name: str) -> str:
        name = _name(name)
        for _ in range(8):
            if name not in self._links:
                break
            name = self._links[name]
        return name


class _Jumping(Stream):
    """A plain tar's headers as a stream: what is skipped is not read."""

    def __init__(self, file: IO[bytes], budget: Budget) -> None:
        super().__init__(file, budget, "the archive")
        self._file = file

    def skip(self, size: int) -> None:
        """Jump over ``size`` bytes."""
        self.position += size
        self._file.seek(self.position)


def _start(file: IO[bytes]) -> bytes:
    file.seek(0)
    start = file.read(8)
    file.seek(0)
    return start


def _name(name: str) -> str:
    return posixpath.normpath("/" + name).lstrip("/")


def docker(archive: Archive, tag: str = "") -> tuple[dict[str, Any], Tree, list[str]]:
    """Return configuration, merged layers and notes of manifest.json's image, of several the one with the tag."""
    import json

    try:
        images = json.loads(archive.small("manifest.json"))
    except (ValueError, RecursionError) as error:
        if isinstance(error, ImageError):
            raise
        raise ImageError("manifest.json in the archive is not JSON: save the image again") from None
    found = oci.objects(images)
    if not found:
        raise ImageError("manifest.json in the archive names no image: save the image again")
    found = oci.tagged(found, tag, _tags, "Config")
    config = found[0].get("Config")
    names = found[0].get("Layers")
    if not isinstance(config, str) or not isinstance(names, list) or len(names) > oci.MAX_LAYERS:
        raise ImageError("manifest.json in the archive names no configuration or no layers: save the image again")
    notes = [f"the archive holds {len(found)} images; read: the first ({_tag(found[0])})"] if len(found) > 1 else []
    layers = [(str(name), f"layer {number}") for number, name in enumerate(names, 1)]
    return oci.parse(archive.small(config), "the image's configuration"), archive.stack(layers), notes


def _tags(image: dict[str, Any]) -> list[str]:
    tags = image.get("RepoTags")
    return [one for one in tags if isinstance(one, str)] if isinstance(tags, list) else []


def _tag(image: dict[str, Any]) -> str:
    tags = image.get("RepoTags")
    return str(tags[0]) if isinstance(tags, list) and tags else "without a tag"
