"""Xids (GPU) and SXids (NVSwitch), in all the forms that drivers have printed them in.

A program chooses its own name, up to 15 characters, and the driver prints that in the middle of the record. So what
stands before the name is read from the left, what stands after it from the right, and a record counts only from its
first character on.
"""

from __future__ import annotations

from preflight.digits import is_whole
from preflight.facts.kmsg.event import FATAL, NONFATAL, SHOWN, UNKNOWN_NAMES, Event, bus_id, number

XID, SXID = "xid", "sxid"
RECOVERY = 154  # "GPU recovery action changed from 0x0 (None) to 0x2 (…)"
NVLINK5 = range(144, 151)  # the sub-unit's state, Fatal or Nonfatal, decides


def parse_xid(text: str) -> Event | None:
    """Return the event of a record "NVRM: Xid (PCI:0000:3b:00): 79, pid=…, name=…, …", None for another record."""
    if not text.startswith("NVRM: Xid"):
        return None
    where, rest = _address(text[len("NVRM: Xid") :])
    code = number(rest)
    rest = rest[len(str(code)) :].lstrip(" ,:") if code is not None else rest
    pid, name, rest = _process(rest)
    event = Event(XID, text[:SHOWN], code, where[0], where[1], pid, name)
    if code == RECOVERY:
        return event._replace(level=_target(rest))
    return event._replace(severity=_state(rest)) if code in NVLINK5 else event


def parse_sxid(text: str) -> Event | None:
    """Return the event of "nvidia-nvswitch2: SXid (PCI:0000:06:00.0): 20034, Fatal, …".

    None for another record, and for those that carry on an SXid's ("Severity 1 Engine instance …", "Data {…}").
    """
    device, mark, rest = text.partition(": SXid")
    if not mark or not device.startswith("nvidia-nvswitch") or len(device) > 24:
        return None
    where, rest = _address(rest)
    code = number(rest)
    rest = rest[len(str(code)) :].lstrip(" ,:") if code is not None else rest
    if rest.startswith(("Severity ", "Data ", "Data{")):
        return None
    word = rest.partition(",")[0].strip().casefold()
    severity = FATAL if word == "fatal" else NONFATAL if word in ("non-fatal", "nonfatal", "non fatal") else ""
    return Event(SXID, text[:SHOWN], code, where[0], subject=device.removeprefix("nvidia-"), severity=severity)


def _address(text: str) -> tuple[tuple[str, int | None], str]:
    """Return ((bus, MIG instance), the rest from the number on) of what follows "Xid"."""
    rest = text.lstrip()
    if not rest.startswith("("):
        return ("", None), rest.lstrip(" :,")
    inner, _, rest = rest[1:].partition(")")
    words = inner.split()
    instance = next((number(word[len("GPU-I:") :]) for word in words if word.startswith("GPU-I:")), None)
    return (bus_id(words[0]) if words else "", instance), rest.lstrip(" :,")


def _process(text: str) -> tuple[int | None, str, str]:
    """Return (pid, name, the rest) of "pid=4242, name=train.py, …"; pid None and name "" where it is not told."""
    pid, name, rest = None, "", text
    if rest.startswith("pid="):
        value, _, rest = rest[len("pid=") :].partition(",")
        plain = value.strip().strip("'\"")
        pid = int(plain) if is_whole(plain, 11) else None
        rest = rest.lstrip()
    if rest.startswith("name="):
        value, _, rest = rest[len("name=") :].partition(",")
        name = value.strip().strip("'\"")
        name = "" if name in UNKNOWN_NAMES else name
        rest = rest.lstrip()
    return pid, name, rest


def _target(text: str) -> int | None:
    """Return the number that a recovery action changed to; its words differ from driver to driver."""
    _, mark, rest = text.rpartition(" to 0x")
    digits = rest.partition(" ")[0].rstrip(".,")
    try:
        return int(digits, 16) if mark else None
    except ValueError:
        return None


def _state(text: str) -> str:
    """Return the state of the NVLink sub-unit: the last such word, since a program's name may hold one before it."""
    for word in reversed(text.split()):
        plain = word.strip("(),:;").casefold()
        if plain in ("fatal", "nonfatal", "non-fatal"):
            return FATAL if plain == "fatal" else NONFATAL
    return ""
