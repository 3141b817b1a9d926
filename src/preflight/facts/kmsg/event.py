"""What an event of the kernel's log is, and reading addresses and numbers out of its text."""

from __future__ import annotations

from preflight.digits import is_whole
from preflight.tuples import NamedTuple

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

FATAL, NONFATAL, CORRECTED = "fatal", "nonfatal", "corrected"
HEX = "0123456789abcdef"
SHOWN = 160  # characters of a record's text that are kept
UNKNOWN_NAMES = ("<unknown>", "")


class Event(NamedTuple):
    """One thing that the kernel said happened.

    ``kind``: a key of `preflight.facts.kmsg.kinds`. ``code``: the Xid's or SXid's number, the recovery action of
    an Xid 154 is in ``level``. ``bus``: "0000:3b:00", "" where none is named. ``instance``: a MIG device's GPU
    instance. ``subject``: what it is about where that is no PCI device ("sda", "MC0", "CPU3", a file server).
    ``severity``: FATAL, NONFATAL, CORRECTED or "". ``times``: how many of them one record stands for.
    """

    kind: str
    text: str
    code: int | None = None
    bus: str = ""
    instance: int | None = None
    pid: int | None = None
    name: str = ""
    subject: str = ""
    severity: str = ""
    level: int | None = None
    job: int | None = None
    times: int = 1

    def key(self) -> tuple[Any, ...]:
        """Return what two events have in common that are counted as one."""
        return self.kind, self.code, self.bus, self.instance, self.pid, self.subject, self.severity, self.level


def bus_id(text: str) -> str:
    """Return a PCI address without its function, "0000:3b:00", "" where ``text`` is none.

    ``text`` is "PCI:0000:3b:00", "00000000:3B:00.0", "0000:3b:00.0" or, without a domain, "3b:00".
    """
    plain = text.strip().casefold().removeprefix("pci:")
    plain, _, function = plain.partition(".")
    parts = plain.split(":")
    if len(parts) == 2:
        parts = ["0", *parts]
    if len(parts) != 3 or (function and (len(function) > 1 or not is_whole(function))):
        return ""
    domain, bus, device = parts
    if not (_is_hex(domain, 8) and _is_hex(bus, 2) and _is_hex(device, 2)):
        return ""
    return f"{int(domain, 16):04x}:{int(bus, 16):02x}:{int(device, 16):02x}"


def _is_hex(text: str, most: int) -> bool:
    return 0 < len(text) <= most and all(letter in HEX for letter in text)


def find_bus(text: str) -> str:
    """Return the first full PCI address in ``text`` as `bus_id` does, "" where it holds none."""
    for word in text.split():
        plain = word.strip("()[],;'\"").rstrip(":.")
        if plain.count(":") >= 2:
            found = bus_id(plain)
            if found:
                return found
    return ""


def number(text: str) -> int | None:
    """Return the whole number at the start of ``text``, None where none is."""
    end = 0
    while end < len(text) and "0" <= text[end] <= "9":
        end += 1
    return int(text[:end]) if 0 < end <= 12 else None


def between(text: str, start: str, end: str) -> str:
    """Return what stands between ``start`` and the ``end`` after it, "" where they are not there."""
    _, mark, rest = text.partition(start)
    inner, closing, _ = rest.partition(end)
    return inner if mark and closing else ""
