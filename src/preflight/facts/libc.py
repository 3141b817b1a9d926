"""The C library: the glibc version, or None where the node runs on musl."""

from __future__ import annotations

import os

from preflight.facts.answer import NOT_LIVE, Answer, unknown
from preflight.facts.registry import fact
from preflight.facts.rootfs import Root

PLACES = (
    "/usr/lib64/libc.so.6",
    "/lib64/libc.so.6",
    "/usr/lib/*-linux-gnu*/libc.so.6",
    "/lib/*-linux-gnu*/libc.so.6",
    "/usr/lib/libc.so.6",
    "/lib/libc.so.6",
)
MUSL = ("/lib/ld-musl-*.so.1", "/usr/lib/ld-musl-*.so.1")
MAX_LIBRARY = 64 << 20
# The banner that running libc.so.6 prints: "GNU C Library (Ubuntu GLIBC 2.35-0ubuntu3) stable release version 2.35."
_BANNER = rb"GNU C Library [^\n\0]{0,200}?version (\d+\.\d+(?:\.\d+)*)"


@fact("libc", keys={"glibc": "text?: null on musl"}, static=True)
def read(root: Root) -> Answer:
    """The C library.

    This node: confstr, else the library files. Another root: the banner in its libc.so.6, then (live) confstr.
    """
    if root.own:
        version = _confstr()
        if version:
            return Answer({"glibc": version})
    for path in libraries(root):
        import re

        found = re.search(_BANNER, root.read(path, MAX_LIBRARY) or b"")
        if found:
            return Answer({"glibc": found[1].decode()})
    if any(root.glob(pattern) for pattern in MUSL):
        return Answer({"glibc": None})
    if root.live and not root.own:
        version = _confstr()
        if version:
            return Answer({"glibc": version})
    return unknown("no C library found" if root.live else f"no C library beneath {root.path}; {NOT_LIVE}")


def libraries(root: Root) -> list[str]:
    """Return the paths of glibc's library beneath the root, the 64-bit places first."""
    found = [path for pattern in PLACES for path in root.glob(pattern)]
    return [path for path in found if root.is_file(path)]


def _confstr() -> str | None:
    """Return this process's glibc version; None on musl and elsewhere, where the name is not known."""
    try:
        text = os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (AttributeError, ValueError, OSError):
        return None
    name, _, version = text.partition(" ")
    return version.strip() or None if name == "glibc" else None
