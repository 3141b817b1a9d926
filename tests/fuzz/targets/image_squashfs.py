"""A squashfs, alone and in a SIF. The first byte says which; seeds are made by mksquashfs where it is installed."""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from fuzz.place import place, write
from preflight.submit.image.model import ImageError
from preflight.submit.image.open import read
from unit import image_samples as samples

ERRORS = (ImageError,)
TOKENS = (
    b"hsqs", b"SIF_MAGIC\0", b"\xff\xff\xff\xff", b"\0" * 8, b"\x01\0", b"\x08\0", b"\x09\0", b"\x03\0", b"\0\x80",
    b"os-release",
)  # fmt: skip
LONGEST = 48 << 10
STEPS_LIMIT = (3_000_000, 400)
PEAK_LIMIT = (96 << 20, 400)  # a file of MAX_CONTENT bytes that is a hole, twice
SIF_DATA = 32768


def seeds() -> list[bytes]:
    """Return images of each compression, and a SIF around one."""
    if shutil.which("mksquashfs") is None:
        return [b"\0hsqs" + bytes(124), b"\1" + bytes(32) + b"SIF_MAGIC\0" + bytes(200)]
    found = []
    tree = {name: text for name, text in samples.CUDA.items() if "cuda-12.4/" in name or "os-release" in name}
    with TemporaryDirectory() as made:
        root = samples.unpacked(Path(made) / "root", {**tree, "etc/environment": b"A=b\n" * 5000})
        for kind in ("gzip", "lzo", "lz4", "xz", "zstd"):
            path = samples.squashfs(root, Path(made) / kind, "-comp", kind, "-all-root", "-nopad", "-no-xattrs")
            found.append(b"\0" + path.read_bytes())
        plain = samples.squashfs(
            root, Path(made) / "plain", "-noI", "-noD", "-noF", "-nopad", "-no-xattrs"
        ).read_bytes()
        packed = Path(made) / "sif"
        definition = b"Bootstrap: docker\n%environment\nexport A=1\n"
        samples.sif(
            packed, [(0x4001, b"", definition), (0x4003, b"", b'{"a": "b"}'), (0x4004, samples.partition(), plain)]
        )
        sif = packed.read_bytes()
    # Behind the table of a SIF stand 23 KiB of zeros, in which a mutation changes nothing.
    return [*found, b"\0" + plain, b"\1" + sif[:8192] + sif[SIF_DATA:]]


def check(data: bytes) -> None:
    """Read the file as an image."""
    body = data[1:]
    if data[:1] == b"\1":
        body = body[:8192].ljust(SIF_DATA, b"\0") + body[8192:]
    read(str(write(place("squashfs") / "image", body)))
