"""What was read from a container image, as plain data, and the error that ends reading."""

from __future__ import annotations

from typing import Any, NamedTuple


class ImageError(ValueError):
    """An image that cannot be read; str() is one line: what is wrong, where, what to do."""


class Found(NamedTuple):
    """A thing found inside the image: ``version`` as it is written there, ``where`` it was read."""

    kind: str
    version: str
    where: str


class Image(NamedTuple):
    """One image, read.

    ``path``          as it was given.
    ``kind``          "oci", "docker", "sif", "squashfs" or "directory".
    ``architecture``  as uname -m says it ("x86_64"), None where it is not told; ``platforms``: all that the file holds.
    ``environment``   the image's variables whose names begin with NVIDIA_ or CUDA_; ``sources``: name -> where it
                      stands.
    ``labels``        the image's labels.
    ``os``            as subject ``os`` of the facts (id, version, like, name ...), None where there is no os-release.
    ``libc``          {"glibc": "2.35"}, {"glibc": None} on musl, None where it cannot be told.
    ``cuda``          CUDA libraries and toolkits inside (contents.py); ``compat``: libcuda files of cuda-compat.
    ``notes``         what could not be read, and why, one line each.
    """

    path: str
    kind: str
    architecture: str | None
    platforms: tuple[str, ...]
    environment: dict[str, str]
    sources: dict[str, str]
    labels: dict[str, str]
    os: dict[str, Any] | None
    libc: dict[str, Any] | None
    cuda: tuple[Found, ...]
    compat: tuple[Found, ...]
    notes: tuple[str, ...]


MACHINES = {
    "amd64": "x86_64",
    "x86-64": "x86_64",
    "386": "i686",
    "arm64": "aarch64",
    "arm": "armv7l",
    "ppc64el": "ppc64le",
}


def machine(name: str) -> str:
    """Return an architecture as uname -m says it, of Go's name (amd64) or the same."""
    return MACHINES.get(name.strip().lower(), name.strip().lower())
