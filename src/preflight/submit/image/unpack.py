"""Decompression with a limit on what comes out: streams of layers, and the small blocks of a squashfs.

zstd comes from the standard library (Python 3.14) or `backports.zstd`; LZO and LZ4 blocks are decoded here, because
enroot writes LZO by default and the libraries for it are C extensions that many machines cannot build.
"""

import io
import zlib
from typing import IO, Any, cast

from preflight.submit.image.model import ImageError

MAX_UNPACKED = 128 << 30  # bytes that one image may unpack to
CHUNK = 1 << 20
_XZ_MEMORY = 128 << 20


class Budget:
    """The bytes and entries that one image may still cost."""

    def __init__(self, size: int = MAX_UNPACKED, entries: int = 2_000_000, kept: int = 256 << 20) -> None:
        self.size = size
        self.entries = entries
        self.kept = kept

    def unpacked(self, count: int) -> None:
        """Count bytes that came out of a stream."""
        self.size -= count
        if self.size < 0:
            raise ImageError("the image unpacks to more than Preflight reads: it is damaged, or a decompression bomb")

    def entry(self) -> None:
        """Count one entry of an archive."""
        self.entries -= 1
        if self.entries < 0:
            raise ImageError("the image holds more entries than Preflight reads: it is damaged or hostile")

    def keep(self, count: int) -> None:
        """Count bytes that are held in memory."""
        self.kept -= count
        if self.kept < 0:
            raise ImageError("the files of interest in the image are too large: it is damaged or hostile")


class Stream:
    """A file read forward only, within a budget. Errors of the decompressor become ImageError."""

    def __init__(self, raw: IO[bytes], budget: Budget, what: str) -> None:
        self._raw = raw
        self._budget = budget
        self._what = what
        self.position = 0

    def read(self, size: int) -> bytes:
        """Return up to ``size`` bytes; fewer only at the end."""
        parts: list[bytes] = []
        while size > 0:
            part = self._some(min(size, CHUNK))
            if not part:
                break
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def exactly(self, size: int) -> bytes:
        """Return ``size`` bytes; ImageError where the file ends before."""
        data = self.read(size)
        if len(data) != size:
            raise ImageError(f"{self._what} ends too early: copy the image again")
        return data

    def skip(self, size: int) -> None:
        """Read over ``size`` bytes, without holding them."""
        while size > 0:
            part = self._some(min(size, CHUNK))
            if not part:
                raise ImageError(f"{self._what} ends too early: copy the image again")
            size -= len(part)

    def _some(self, size: int) -> bytes:
        try:
            part = self._raw.read(size)
        except ImageError:
            raise
        except (
            Exception
        ) as error:  # each decompressor has errors of its own (zlib.error, LZMAError, ZstdError, OSError)
            raise ImageError(f"{self._what} cannot be read: {error or type(error).__name__}") from None
        self._budget.unpacked(len(part))
        self.position += len(part)
        return part


class Window(io.RawIOBase):
    """A part of an open file, as a file of its own: for what lies inside an uncompressed archive."""

    def __init__(self, file: IO[bytes], start: int, size: int) -> None:
        super().__init__()
        self._file = file
        self._next = start
        self._end = start + size

    def readable(self) -> bool:
        """A window can be read."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Return up to ``size`` bytes of the part."""
        left = self._end - self._next
        size = left if size < 0 else min(size, left)
        self._file.seek(self._next)
        data = self._file.read(size)
        self._next += len(data)
        return data


class Forward(io.RawIOBase):
    """The next ``size`` bytes of a stream, as a file of its own: for what lies inside a compressed archive."""

    def __init__(self, stream: Stream, size: int) -> None:
        super().__init__()
        self._stream = stream
        self._left = size

    def readable(self) -> bool:
        """It can be read."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Return up to ``size`` bytes of the part."""
        data = self._stream.read(self._left if size < 0 else min(size, self._left))
        self._left -= len(data)
        return data

    def rest(self) -> None:
        """Read over what is left."""
        self._stream.skip(self._left)
        self._left = 0


class _Ahead(io.RawIOBase):
    """A file whose first bytes were read already."""

    def __init__(self, start: bytes, rest: Any) -> None:
        super().__init__()
        self._start = start
        self._rest = rest

    def readable(self) -> bool:
        """It can be read."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Return the bytes read ahead, then those of the file."""
        if self._start:
            size = len(self._start) if size < 0 else size
            part, self._start = self._start[:size], self._start[size:]
            return part
        return cast(bytes, self._rest.read(size))

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer, as the decompressing files ask."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def opened(raw: Any, budget: Budget, what: str) -> Stream:
    """Return the unpacked stream of an open file: gzip, zstd, xz, bzip2 or not compressed, by its first bytes."""
    start = raw.read(6)
    while 0 < len(start) < 6 and (more := raw.read(6 - len(start))):
        start += more
    file = _Ahead(start, raw)
    return Stream(_decompressor(start, io.BufferedReader(file, CHUNK), what), budget, what)


def compressed(start: bytes) -> bool:
    """Tell whether a file that begins with ``start`` is compressed in a way that `opened` knows."""
    return start.startswith((b"\x1f\x8b", b"\xfd7zXZ\x00", b"BZh")) or _is_zstd(start)


def _is_zstd(start: bytes) -> bool:
    """Tell whether zstd begins here, by a frame or by one that is to be skipped (pzstd's). Source: RFC 8878, 3.1."""
    return start.startswith(b"\x28\xb5\x2f\xfd") or (start[1:4] == b"\x2a\x4d\x18" and start[0] >> 4 == 5)


def _decompressor(start: bytes, file: io.BufferedReader, what: str) -> IO[bytes]:
    if start.startswith(b"\x1f\x8b"):
        import gzip

        return cast(IO[bytes], gzip.GzipFile(fileobj=file))
    if _is_zstd(start):
        return cast(IO[bytes], zstd(what).ZstdFile(file))
    if start.startswith(b"\xfd7zXZ\x00"):
        import lzma

        return cast(IO[bytes], lzma.LZMAFile(file))
    if start.startswith(b"BZh"):
        import bz2

        return cast(IO[bytes], bz2.BZ2File(file))
    return file


def zstd(what: str) -> Any:
    """Return the module that reads zstd; ImageError where this Python has none."""
    import importlib

    for name in ("compression.zstd", "backports.zstd"):
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    raise ImageError(f"{what} is compressed with zstd, which this Python cannot read: pip install backports.zstd")


def block(kind: int, data: bytes, limit: int) -> bytes:
    """Return one unpacked block of a squashfs, at most ``limit`` bytes.

    ``kind`` is the superblock's number: 1 zlib, 2 lzma, 3 LZO, 4 xz, 5 LZ4, 6 zstd. ImageError where it is damaged.
    """
    try:
        out = _block(kind, data, limit)
    except ImageError:
        raise
    except Exception as error:
        raise ImageError(
            f"a block of the squashfs is damaged ({error or type(error).__name__}): copy it again"
        ) from None
    if len(out) > limit:
        raise ImageError("a block of the squashfs unpacks to more than a block: it is damaged")
    return out


def _block(kind: int, data: bytes, limit: int) -> bytes:
    if kind == 1:
        return zlib.decompressobj().decompress(data, limit + 1)
    if kind in (2, 4):
        import lzma

        form = lzma.FORMAT_ALONE if kind == 2 else lzma.FORMAT_XZ
        return lzma.LZMADecompressor(form, memlimit=_XZ_MEMORY).decompress(data, limit + 1)
    if kind == 3:
        from preflight.submit.image.lzo import decompress as lzo

        return lzo(data, limit)
    if kind == 5:
        return lz4(data, limit)
    if kind == 6:
        return cast(bytes, zstd("the squashfs").ZstdDecompressor().decompress(data, limit + 1))
    raise ImageError(f"the squashfs is compressed in a way that is not known (number {kind})")


def lz4(data: bytes, limit: int) -> bytes:
    """Return an unpacked LZ4 block (the block format, not the frame); ValueError where it is damaged."""
    out = bytearray()
    at, end = 0, len(data)
    while at < end:
        token = data[at]
        at += 1
        count, at = _length(data, at, token >> 4)
        if at + count > end or len(out) + count > limit:
            raise ValueError("LZ4 literals")
        out += data[at : at + count]
        at += count
        if at == end:
            break
        distance = int.from_bytes(data[at : at + 2], "little")
        count, at = _length(data, at + 2, token & 15)
        copy_back(out, distance, count + 4, limit)
    return bytes(out)


def _length(data: bytes, at: int, count: int) -> tuple[int, int]:
    if count == 15:
        more = 255
        while more == 255:
            more = data[at]
            at += 1
            count += more
    return count, at


def copy_back(out: bytearray, distance: int, count: int, limit: int) -> None:
    """Append ``count`` bytes from ``distance`` before the end, which may overlap what is appended."""
    if not 0 < distance <= len(out) or len(out) + count > limit:
        raise ValueError("match outside of the block")
    start = len(out) - distance
    if distance >= count:
        out += out[start : start + count]
    else:
        out += (bytes(out[start:]) * (count // distance + 1))[:count]
