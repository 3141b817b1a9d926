"""Images in a tar: `docker save` and OCI layouts, plain or compressed. The first byte says how the rest is packed.

Checksums of headers are made right before a reader sees them, or nothing behind the first one would be reached; each
eighth input keeps its own.
"""

import bz2
import gzip
import io
import json
import lzma
import tarfile
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from fuzz.place import place, write
from preflight.submit.image.model import ImageError
from preflight.submit.image.open import read
from preflight.submit.image.unpack import zstd
from unit import image_samples as samples

ERRORS = (ImageError,)
BLOCK = 512
TOKENS = (
    b"manifest.json", b"index.json", b"blobs/sha256/", b"ustar\0", b"00000000000\0", b"77777777777\0",
    b"\x80" + bytes(11), b"30 path=etc/os-release\n", b"99999999999999999999 a=b\n", b".wh.", b".wh..wh..opq",
    b"../", b"Layers", b"Config", b"x", b"L", b"K", b"g", b"S", b"1", b"2", b"5", bytes(BLOCK),
)  # fmt: skip
LONGEST = 24 << 10
STEPS_LIMIT = (400_000, 200)
PEAK_LIMIT = (24 << 20, 400)
PACKED: tuple[Callable[[bytes], bytes], ...] = (
    bytes, bytes, bytes, gzip.compress, lambda data: zstd("x").compress(data), bz2.compress, lzma.compress,
    gzip.compress,
)  # fmt: skip


def seeds() -> list[bytes]:
    """Return a `docker save` tar, an OCI layout in a tar, and a layer with every sort of entry."""
    config = samples.configuration({"NVIDIA_REQUIRE_CUDA": samples.REQUIRE})
    layer = samples.layer({"etc/os-release": samples.UBUNTU.encode(), "usr/bin/x": "y", "a/.wh.b": b"", "d": None})
    with TemporaryDirectory() as made:
        saved = samples.docker_save(Path(made) / "saved", [layer], config).read_bytes()
        layout = samples.layout(Path(made) / "layout", [layer], config)
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for path in sorted(layout.rglob("*")):
                tar.add(path, str(path.relative_to(layout)), recursive=False)
    whole = [saved.rstrip(b"\0") + bytes(2 * BLOCK), out.getvalue().rstrip(b"\0") + bytes(2 * BLOCK)]
    names = json.dumps([{"Config": "c", "Layers": ["l"], "RepoTags": None}]).encode()
    whole.append(samples.layer({"manifest.json": names, "c": config, "l": layer}).rstrip(b"\0") + bytes(2 * BLOCK))
    return [bytes([kind]) + one for one in whole for kind in (0, 3, 4)]


def check(data: bytes) -> None:
    """Read the file as an image."""
    kind, body = data[:1] or b"\0", data[1:]
    if kind[0] & 7 != 7:
        body = mended(body)
    path = write(place("tar") / "image", PACKED[kind[0] & 7](body))
    found = read(str(path))
    assert found.kind in ("docker", "oci", "squashfs", "sif")


def mended(data: bytes) -> bytes:
    """Return the blocks with the checksum of each that looks like a header made right, those of nested tars too."""
    blocks = [data[at : at + BLOCK] for at in range(0, len(data), BLOCK)]
    for number, block in enumerate(blocks):
        if len(block) == BLOCK and (block[257:262] == b"ustar" or number == 0):
            right = sum(block[:148]) + sum(block[156:]) + 8 * 32
            blocks[number] = block[:148] + b"%06o\0 " % right + block[156:]
    return b"".join(blocks)
