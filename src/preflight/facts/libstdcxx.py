"""The C++ library: the highest GLIBCXX version of the system's libstdc++, which its file's own name says.

Source: libstdc++'s manual, ABI policy: libstdc++.so.6.0.N has the symbols of GLIBCXX_3.4.N and before.
"""

from __future__ import annotations

from preflight.facts import arch
from preflight.facts.answer import Answer, unknown
from preflight.facts.registry import fact
from preflight.facts.rootfs import Root

PLACES = ("/usr/lib64", "/usr/lib/*-linux-gnu*", "/usr/lib")
# Machine -> how Debian's directories of its libraries begin (wiki.debian.org/Multiarch/Tuples), where that is another.
TUPLES = {"i686": "i386", "armv7l": "arm", "ppc64le": "powerpc64le", "ppc64": "powerpc64", "ppc": "powerpc"}
_NAME = "libstdc++.so.6.0."
_OF_32_BITS = ("/usr/lib/i386-", "/usr/lib/i686-", "/usr/lib/arm-")


@fact("libstdcxx", keys={"glibcxx": "text"}, static=True)
def read(root: Root) -> Answer:
    """The highest GLIBCXX version of the system's libstdc++; modules and environments may bring newer ones."""
    machine = arch.read(root).values.get("machine", "")
    found: list[str] = []
    for place in PLACES:
        paths = [path for path in root.glob(f"{place}/libstdc++.so.6") if _is_machines(path, machine)]
        numbers = {number for number in (_number(root, path) for path in paths) if number is not None}
        if len(numbers) > 1:
            return unknown(f"{' and '.join(sorted(paths)[:2])} differ")
        if numbers:
            return Answer({"glibcxx": f"3.4.{numbers.pop()}"})
        found += paths
    if found:
        return unknown(f"{found[0]} does not end at a file whose name says its version")
    return unknown("no libstdc++ found" if root.own else f"no libstdc++ beneath {root.path}")


def _is_machines(path: str, machine: str) -> bool:
    """Return whether the library is the machine's own, by its directory; a multiarch system has others' beside it."""
    directory = path.split("/")[3]
    if "-linux-gnu" not in directory:
        return True
    if machine:
        return directory.startswith(f"{TUPLES.get(machine, machine)}-")
    return not path.startswith(_OF_32_BITS)


def _number(root: Root, path: str) -> int | None:
    name = (root.resolve(path) or "").rpartition("/")[2]
    number = name[len(_NAME) :] if name.startswith(_NAME) else ""
    return int(number) if number.isascii() and number.isdecimal() and len(number) < 4 else None
