"""Blocks of a squashfs in every compression (zlib, lzma, LZO, xz, LZ4, zstd): the first byte is its number."""

import lzma
import zlib

from preflight.submit.image.model import ImageError
from preflight.submit.image.unpack import block, zstd

ERRORS = (ImageError,)
LIMIT = 1 << 16
TEXT = b"libcudart.so.12.4.127 " * 40 + bytes(300) + bytes(range(256))
TOKENS = (
    b"\x11\0\0", b"\xff" * 16, bytes(64), b"\x28\xb5\x2f\xfd", b"\xfd7zXZ\0",
)  # fmt: skip
LONGEST = 2048
STEPS_LIMIT = (20_000, 600)
PEAK_LIMIT = (160 << 20, 0)  # what xz and zstd allocate is not of the text's size: windows, up to _XZ_MEMORY


def seeds() -> list[bytes]:
    """Return the same text in each; LZO and LZ4 by hand: literals, a match, the end."""
    lzo = bytes([17 + 5]) + b"abcde" + b"\x40\x00" + b"\x20\x30\x10\x00" + b"\x11\0\0"
    lz4 = b"\x5fabcde\x05\0\xff\x10\x50vwxyz"
    alone = lzma.compress(TEXT, lzma.FORMAT_ALONE)
    made = (zlib.compress(TEXT), alone, lzo, lzma.compress(TEXT), lz4, zstd("x").compress(TEXT))
    return [bytes([number]) + one for number, one in enumerate(made, 1)]


def check(data: bytes) -> None:
    """Unpack the block: never more than the limit."""
    assert len(block(data[0] % 8 if data else 0, data[1:], LIMIT)) <= LIMIT
