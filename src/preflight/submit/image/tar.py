"""The entries of a tar archive, read forward from a stream: ustar, GNU and pax headers.

`tarfile` holds every entry in memory and reads extended headers of any size; an image may be hostile.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from preflight.submit.image.model import ImageError
from preflight.submit.image.unpack import Budget, Stream

BLOCK = 512
MAX_HEADER = 1 << 20  # bytes of one extended header (long names, attributes)
MAX_SIZE = 1 << 50
_ZERO = bytes(BLOCK)
_KINDS = {b"0": "file", b"\0": "file", b"7": "file", b"1": "hard", b"2": "link", b"5": "dir"}


class Member(NamedTuple):
    """One entry: ``name`` as it stands there, ``kind`` "file", "hard", "link", "dir" or "other" (devices, FIFOs).

    ``size`` is the bytes of data, ``offset`` their place in the stream. ``plain`` is False for a sparse file, whose
    data is not its content.
    """

    name: str
    kind: str
    size: int
    target: str
    offset: int
    plain: bool


def members(stream: Stream, budget: Budget, what: str) -> Iterator[Member]:
    """Yield the entries; the caller may read the member's data from the stream before it asks for the next."""
    extended: dict[str, str] = {}
    while True:
        head = stream.read(BLOCK)
        if not head or head == _ZERO:
            return
        if len(head) != BLOCK or not sound(head):
            raise ImageError(f"{what} is not a tar archive, or is damaged: copy the image again")
        budget.entry()
        size = _number(head[124:136], what)
        kind = head[156:157]
        if kind in b"xgXLK":
            _extend(extended, kind, size, stream, what)
            continue
        if kind == b"S":
            _skip_sparse_map(stream, head)
        size = _size(extended.get("size"), size, what)
        member = _member(head, kind, size, extended, stream.position)
        extended = {}
        end = stream.position + (-(-size // BLOCK) * BLOCK if _has_data(kind) else 0)
        yield member
        stream.skip(end - stream.position)


def _has_data(kind: bytes) -> bool:
    return kind not in b"123456" or kind == b""


def _member(head: bytes, kind: bytes, size: int, extended: dict[str, str], offset: int) -> Member:
    name = extended.get("GNU.sparse.name") or extended.get("path")
    if name is None:
        name = _text(head[:100])
        if head[257:263] == b"ustar\0" and head[345]:
            name = f"{_text(head[345:500])}/{name}"
    target = extended.get("linkpath", _text(head[157:257]))
    plain = kind != b"S" and not any(key.startswith("GNU.sparse.") for key in extended)
    what = "file" if kind == b"S" else _KINDS.get(kind, "other")
    if what == "file" and name.endswith("/"):  # directories of archives older than ustar
        what = "dir"
    return Member(name, what, size if what == "file" else 0, target, offset, plain)


def _extend(extended: dict[str, str], kind: bytes, size: int, stream: Stream, what: str) -> None:
    """Read an extended header: of pax (x; g, for all that follows, holds nothing of use here) or GNU (L, K)."""
    if size > MAX_HEADER:
        raise ImageError(f"{what} has a header of {size} bytes: it is damaged or hostile")
    data = stream.exactly(size)
    stream.skip(-size % BLOCK)
    if kind == b"L":
        extended["path"] = _text(data)
    elif kind == b"K":
        extended["linkpath"] = _text(data)
    elif kind in b"xX":
        extended.update(_records(data))


def _records(data: bytes) -> Iterator[tuple[str, str]]:
    """Yield the records of a pax header, "LENGTH KEY=VALUE\\n" each; what is malformed ends them."""
    at = 0
    while at < len(data):
        length, space, _ = data[at : at + 20].partition(b" ")
        if not space or not length.isascii() or not length.isdigit() or int(length) < len(length) + 3:
            return
        key, _, value = data[at + len(length) + 1 : at + int(length)].rstrip(b"\n").partition(b"=")
        yield _text(key), _text(value)
        at += int(length)


def _skip_sparse_map(stream: Stream, head: bytes) -> None:
    """Read over the further maps of an old GNU sparse file."""
    more = head[482]
    while more:
        more = stream.exactly(BLOCK)[504]


def _size(told: str | None, size: int, what: str) -> int:
    if told is None:
        return size
    if not (told.isascii() and told.isdigit()) or len(told) > 18 or int(told) > MAX_SIZE:
        raise ImageError(f"{what} has an entry whose size is no number: it is damaged or hostile")
    return int(told)


def _number(field: bytes, what: str) -> int:
    """Return a number of a header: octal digits, or GNU's base 256."""
    if field[0] == 0x80:
        number = int.from_bytes(field[1:], "big")
    else:
        text = field.split(b"\0")[0].strip()
        if text and not all(48 <= digit <= 55 for digit in text):
            raise ImageError(f"{what} has an entry whose size is no number: it is damaged or hostile")
        number = int(text or b"0", 8)
    if number > MAX_SIZE:
        raise ImageError(f"{what} has an entry of {number} bytes: it is damaged or hostile")
    return number


def sound(head: bytes) -> bool:
    """Tell whether the header's checksum is right (some old archives summed signed bytes)."""
    text = head[148:156].split(b"\0")[0].strip()
    if not text or not all(48 <= digit <= 55 for digit in text):
        return False
    rest = head[:148] + b" " * 8 + head[156:]
    told, unsigned = int(text, 8), sum(rest)
    return told == unsigned or told == unsigned - 256 * sum(byte > 127 for byte in rest)


def _text(raw: bytes) -> str:
    return raw.split(b"\0")[0].decode("utf-8", "replace")
