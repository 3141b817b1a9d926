"""A squashfs 4.0 file, read in place: enroot's .sqsh files and the file system of a SIF.

Only the directories on the way to a file are read. Every offset, length and count comes from the file and is
distrusted. Written after the kernel's fs/squashfs/squashfs_fs.h. (The libraries on PyPI read the whole tree into
memory first and go on without end where the tables of a damaged file lead in a circle.)
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterator
from typing import IO, NamedTuple

from preflight.submit.image.model import ImageError
from preflight.submit.image.unpack import block
from preflight.submit.image.virtual import Entry

MAGIC = b"hsqs"
METADATA = 8192
MAX_ENTRIES = 200_000  # of one directory
MAX_CACHED = 4096  # metadata blocks, 8 KiB each
MAX_TARGET = 4096
_NO_FRAGMENT = 0xFFFFFFFF
_PLAIN_BLOCK = 1 << 24
_SUPER = struct.Struct("<4sIIIIHHHHHHQQQQQQQQ")
_KINDS = {1: "dir", 2: "file", 3: "link", 8: "dir", 9: "file", 10: "link"}


class Inode(NamedTuple):
    """``start`` of the data or of the directory's listing, ``offset`` into it, ``fragment``, and the block list."""

    kind: str
    size: int = 0
    start: int = 0
    offset: int = 0
    fragment: int = _NO_FRAGMENT
    blocks: tuple[int, int] = (0, 0)
    target: str = ""


_SHORT = "a file of the squashfs is shorter than it says: the image is damaged"


class Squashfs:
    """A squashfs in an open file, from ``base`` on; a `virtual.Store`. Raises ImageError where it is damaged."""

    def __init__(self, file: IO[bytes], base: int = 0) -> None:
        self._file = file
        self._base = base
        head = self._read(0, _SUPER.size)
        (magic, _, _, self._block_size, self._fragments, self._compression, log, _, _, major, minor, root, _, _, _,
         self._inodes, self._directories, self._fragment_table, _) = _SUPER.unpack(head)  # fmt: skip
        if magic != MAGIC:
            raise ImageError("not a squashfs: its magic number is missing")
        if (major, minor) != (4, 0):
            raise ImageError(
                f"the squashfs has version {major}.{minor}; Preflight reads 4.0: convert it with mksquashfs"
            )
        if not 12 <= log <= 20 or self._block_size != 1 << log:
            raise ImageError("the squashfs has a block size that does not exist: it is damaged")
        self._cache: dict[int, tuple[bytes, int]] = {}
        self._fragment_cache: tuple[int, bytes] = (-1, b"")
        self._listings: dict[str, dict[str, int]] = {}
        self._known: dict[str, Inode | None] = {"/": self._inode(root)}

    def entry(self, path: str) -> Entry | None:
        """Return what ``path`` is, links not followed."""
        inode = self._find(path)
        return None if inode is None else Entry(inode.kind, inode.size, inode.target)

    def listing(self, path: str) -> list[str]:
        """Return the names in a directory."""
        return list(self._names(path))

    def content(self, path: str, limit: int) -> bytes:
        """Return a file's bytes; OSError where it is no file, or holds more than ``limit``."""
        return b"".join(self.blocks(path, limit))

    def blocks(self, path: str, limit: int) -> Iterator[bytes]:
        """Yield a file's bytes a block at a time; OSError where it is no file, or holds more than ``limit``."""
        inode = self._find(path)
        if inode is None or inode.kind != "file":
            raise OSError(errno.EINVAL, "not a regular file", path)
        if inode.size > limit:
            raise OSError(errno.EFBIG, f"larger than {limit} bytes", path)
        words = self._words(inode)
        at = inode.start
        left = inode.size
        for word in words:
            room = min(left, self._block_size)
            data = self._data(at, word) if word else bytes(room)
            if len(data) < room:
                raise ImageError(_SHORT)
            yield data[:room]
            at += word & (_PLAIN_BLOCK - 1)
            left -= room
        if left:
            rest = self._fragment(inode.fragment)[inode.offset : inode.offset + left]
            if len(rest) < left:
                raise ImageError(_SHORT)
            yield rest

    def packed(self, path: str) -> int:
        """Return the bytes that a file takes in the image, at most; 0 of what is none."""
        inode = self._find(path)
        if inode is None or inode.kind != "file":
            return 0
        blocks = sum(word & (_PLAIN_BLOCK - 1) for word in self._words(inode))
        return blocks + (self._block_size if inode.fragment != _NO_FRAGMENT else 0)

    def _words(self, inode: Inode) -> tuple[int, ...]:
        """Return a file's list of blocks: the size of each, 0 of one that is all zeros."""
        whole = inode.size // self._block_size if inode.fragment != _NO_FRAGMENT else -(-inode.size // self._block_size)
        words: tuple[int, ...] = struct.unpack(f"<{whole}I", self._metadata(*inode.blocks, whole * 4)[0])
        return words

    def _find(self, path: str) -> Inode | None:
        if path not in self._known:
            parent, _, name = path.rpartition("/")
            number = self._names(parent or "/").get(name)
            self._known[path] = None if number is None else self._inode(number)
        return self._known[path]

    def _names(self, path: str) -> dict[str, int]:
        """Return the names in a directory, each with its inode's reference."""
        if path not in self._listings:
            inode = self._find(path)
            self._listings[path] = self._directory(inode) if inode is not None and inode.kind == "dir" else {}
        return self._listings[path]

    def _directory(self, inode: Inode) -> dict[str, int]:
        found: dict[str, int] = {}
        left = inode.size - 3  # the listing's size counts "." and ".."
        place = (self._directories + inode.start, inode.offset)
        while left > 0:
            head, *place_after = self._metadata(*place, 12)
            count, start, _ = struct.unpack("<III", head)
            left -= 12
            place = (place_after[0], place_after[1])
            if count >= 256:
                raise ImageError("a directory of the squashfs is damaged")
            for _ in range(count + 1):
                head, *place_after = self._metadata(*place, 8)
                offset, _, _, length = struct.unpack("<HhHH", head)
                if length >= 256 or len(found) >= MAX_ENTRIES:
                    raise ImageError("a directory of the squashfs is damaged or larger than Preflight reads")
                raw, *place_after = self._metadata(place_after[0], place_after[1], length + 1)
                place = (place_after[0], place_after[1])
                left -= 9 + length
                name = raw.decode("utf-8", "replace")
                if "/" not in name and name not in (".", "..") and "\0" not in name:
                    found[name] = start << 16 | offset
        return found

    def _inode(self, reference: int) -> Inode:
        place = (self._inodes + (reference >> 16), reference & 0xFFFF)
        head, at, offset = self._metadata(*place, 16)
        kind = struct.unpack("<H", head[:2])[0]
        if kind not in _KINDS:
            return Inode("other")
        form = {1: "<IIHHI", 2: "<IIII", 3: "<II", 8: "<IIIIHHI", 9: "<QQQIIII", 10: "<II"}[kind]
        body, at, offset = self._metadata(at, offset, struct.calcsize(form))
        fields = struct.unpack(form, body)
        if kind == 1:
            return Inode("dir", fields[2], fields[0], fields[3])
        if kind == 8:
            return Inode("dir", fields[1], fields[2], fields[5])
        if kind == 2:
            return Inode("file", fields[3], fields[0], fields[2], fields[1], (at, offset))
        if kind == 9:
            return Inode("file", fields[1], fields[0], fields[5], fields[4], (at, offset))
        if fields[1] > MAX_TARGET:
            raise ImageError("a link of the squashfs is longer than a path can be: it is damaged")
        target = self._metadata(at, offset, fields[1])[0].decode("utf-8", "replace")
        return Inode("link", fields[1], target=target)

    def _metadata(self, at: int, offset: int, size: int) -> tuple[bytes, int, int]:
        """Return ``size`` bytes from ``offset`` in the metadata block at ``at``, and where the next byte stands."""
        out = b""
        while True:
            data, after = self._metadata_block(at)
            part = data[offset : offset + size - len(out)]
            out += part
            offset += len(part)
            if len(out) == size:
                return out, at, offset
            if not data or offset < len(data):
                raise ImageError("the tables of the squashfs are damaged")
            at, offset = after, max(0, offset - len(data))

    def _metadata_block(self, at: int) -> tuple[bytes, int]:
        known = self._cache.get(at)
        if known is not None:
            return known
        header = struct.unpack("<H", self._read(at, 2))[0]
        size = header & 0x7FFF
        data = self._read(at + 2, size)
        if not header & 0x8000:
            data = block(self._compression, data, METADATA)
        if not data:
            raise ImageError("the tables of the squashfs are damaged")
        if len(self._cache) >= MAX_CACHED:
            self._cache.clear()
        self._cache[at] = data, at + 2 + size
        return self._cache[at]

    def _fragment(self, number: int) -> bytes:
        if number >= self._fragments:
            raise ImageError("a file of the squashfs names a fragment that is not there: the image is damaged")
        if self._fragment_cache[0] != number:
            at = struct.unpack("<Q", self._read(self._fragment_table + number // 512 * 8, 8))[0]
            start, word, _ = struct.unpack("<QII", self._metadata(at, number % 512 * 16, 16)[0])
            self._fragment_cache = number, self._data(start, word)
        return self._fragment_cache[1]

    def _data(self, at: int, word: int) -> bytes:
        size = word & (_PLAIN_BLOCK - 1)
        if size > self._block_size:
            raise ImageError("a block of the squashfs is larger than a block can be: it is damaged")
        data = self._read(at, size)
        return data if word & _PLAIN_BLOCK else block(self._compression, data, self._block_size)

    def _read(self, at: int, size: int) -> bytes:
        try:
            self._file.seek(self._base + at)
            data = self._file.read(size)
        except (OSError, OverflowError, ValueError) as error:
            raise ImageError(f"the squashfs cannot be read: {error}") from None
        if len(data) != size:
            raise ImageError("the squashfs ends too early: copy the image again")
        return data
