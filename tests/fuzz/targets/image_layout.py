"""An OCI layout in a directory: its index, manifest, configuration and a layer, parted by NULs; digests as written."""

import json

from fuzz.place import place, write
from fuzz.targets.image_tar import mended
from preflight.submit.image.model import ImageError
from preflight.submit.image.open import read
from unit import image_samples as samples

ERRORS = (ImageError,)
DIGESTS = [f"sha256:{number:064x}" for number in range(4)]
TOKENS = (
    *(f'{{"digest":"{one}"}}'.encode() for one in DIGESTS), b"sha256:../../../etc/passwd", b"null", b"[]", b"{}",
    b'"Env"', b'"manifests":', b'"platform":{"architecture":"amd64"}', b"\0", b"1e999", b'"mediaType":',
)  # fmt: skip
LONGEST = 12 << 10
STEPS_LIMIT = (400_000, 400)
PEAK_LIMIT = (24 << 20, 400)


def seeds() -> list[bytes]:
    """Return a layout of one image, and one whose index leads to an index."""
    manifest = json.dumps({"config": {"digest": DIGESTS[1]}, "layers": [{"digest": DIGESTS[2]}]}).encode()
    config = samples.configuration({"CUDA_VERSION": "12.4.1", "PATH": "/usr/bin"})
    layer = samples.layer({"etc/os-release": samples.UBUNTU.encode(), "usr/local/cuda": "/opt/cuda"}).rstrip(b"\0")
    index = json.dumps({"manifests": [{"digest": DIGESTS[0], "platform": {"architecture": "amd64"}}]}).encode()
    nested = json.dumps({"manifests": [{"digest": DIGESTS[3]}, {"digest": DIGESTS[0]}]}).encode()
    return [b"\0\0".join((one, manifest, config, layer)) for one in (index, nested)]


def check(data: bytes) -> None:
    """Write the layout and read it; the fourth digest is the index itself, so that it may lead to itself."""
    where = place("layout")
    blobs = where / "blobs/sha256"
    blobs.mkdir(parents=True, exist_ok=True)
    parts = (*data.split(b"\0\0", 3), b"", b"", b"")[:4]
    write(where / "oci-layout", b"{}")
    write(where / "index.json", parts[0])
    for number, part in enumerate((parts[1], parts[2], mended(parts[3]) + bytes(1024), parts[0])):
        write(blobs / f"{number:064x}", part)
    assert read(str(where)).kind == "oci"
