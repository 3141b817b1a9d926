"""LZO1X blocks, unpacked: what squashfs-tools writes with `-comp lzo`, enroot's default.

Written after the description of the format in the Linux kernel (Documentation/staging/lzo.rst).
"""

from preflight.submit.image.unpack import copy_back


def decompress(data: bytes, limit: int) -> bytes:
    """Return the unpacked block, at most ``limit`` bytes; ValueError or IndexError where it is damaged."""
    out = bytearray()
    at = 0
    state = 0  # literals copied by the last instruction: 0 to 3, or 4 for a long run
    first = data[0]
    if first > 17:
        at = _literals(data, 1, first - 17, out, limit)
        state = min(first - 17, 4)
    while True:
        code = data[at]
        at += 1
        if code < 16 and state == 0:
            count, at = _count(data, at, code, 15, 3)
            at = _literals(data, at, count, out, limit)
            state = 4
            continue
        if code < 16:
            distance = (code >> 2) + (data[at] << 2) + (1 if state < 4 else 2049)
            at += 1
            copy_back(out, distance, 2 if state < 4 else 3, limit)
            state = code & 3
        elif code >= 64:
            distance = ((code >> 2) & 7) + (data[at] << 3) + 1
            at += 1
            copy_back(out, distance, (code >> 5) + 1, limit)
            state = code & 3
        else:
            mask, base = (31, 1) if code >= 32 else (7, 16384 + ((code & 8) << 11))
            count, at = _count(data, at, code & mask, mask, 2)
            tail = int.from_bytes(data[at : at + 2], "little")
            if at + 2 > len(data):
                raise ValueError("LZO ends too early")
            at += 2
            distance = base + (tail >> 2)
            if code < 32 and distance == 16384:
                return bytes(out)
            copy_back(out, distance, count, limit)
            state = tail & 3
        at = _literals(data, at, state, out, limit)


def _count(data: bytes, at: int, count: int, mask: int, extra: int) -> tuple[int, int]:
    """Return a length whose bits are ``count``; zero means that it goes on, 255 for each zero byte."""
    if count == 0:
        count = mask
        while data[at] == 0:
            count += 255
            at += 1
        count += data[at]
        at += 1
    return count + extra, at


def _literals(data: bytes, at: int, count: int, out: bytearray, limit: int) -> int:
    if at + count > len(data) or len(out) + count > limit:
        raise ValueError("LZO literals")
    out += data[at : at + count]
    return at + count
