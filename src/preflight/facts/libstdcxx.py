"""The C++ library: the highest GLIBCXX version of the system's libstdc++, which its file's own name says.

Source: libstdc++'s manual, ABI policy: libstdc++.so.6.0.N has the symbols of GLIBCXX_3.4.N and before.
"""

from __future__ import annotations

from preflight.facts.answer import Answer, unknown
from preflight.facts.registry import fact
from preflight.facts.rootfs import Root

PLACES = (
    "/usr/lib64/libstdc++.so.6",
    "/usr/lib/*-linux-gnu*/libstdc++.so.6",
    "/usr/lib/libstdc++.so.6",
)
_NAME = "libstdc++.so.6.0."
_OF_32_BITS = ("/usr/lib/i386-", "/usr/lib/i686-", "/usr/lib/arm-")


@fact("libstdcxx", keys={"glibcxx": "text"}, static=True)
def read(root: Root) -> Answer:
    """The highest GLIBCXX version of the system's libstdc++; modules and environments may bring newer ones."""
    found = [path for pattern in PLACES for path in root.glob(pattern) if not path.startswith(_OF_32_BITS)]
    for path in found:
        name = (root.resolve(path) or "").rpartition("/")[2]
        number = name[len(_NAME) :] if name.startswith(_NAME) else ""
        if number.isascii() and number.isdecimal() and len(number) < 4:
            return Answer({"glibcxx": f"3.4.{int(number)}"})
    if found:
        return unknown(f"{found[0]} does not end at a file whose name says its version")
    return unknown("no libstdc++ found" if root.own else f"no libstdc++ beneath {root.path}")
