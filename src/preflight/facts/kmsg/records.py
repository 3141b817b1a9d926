"""One record of the kernel's log, in the form of /dev/kmsg, of the journal, or of a line that a tool printed.

Only records of facility 0 are the kernel's own: what a program writes to /dev/kmsg the kernel files under another one
(Documentation/ABI/testing/dev-kmsg), and the journal keeps that as SYSLOG_FACILITY.
"""

from __future__ import annotations

from preflight.digits import is_whole
from preflight.tuples import NamedTuple

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

KERNEL = 0  # the facility of the kernel's own records
FACILITIES = {"kern": 0, "user": 1, "daemon": 3, "auth": 4, "syslog": 5, "authpriv": 10}
OTHER = 1
MAX_TEXT = 4096  # characters of a record's text that are looked at


class Record(NamedTuple):
    """``seq``: its number, -1 where it has none. ``usec``: microseconds since the boot, -1 where that is not known."""

    facility: int
    seq: int
    usec: int
    text: str


def from_kmsg(data: bytes) -> Record | None:
    """Return the record of one read of /dev/kmsg, "PRIORITY,SEQUENCE,MICROSECONDS,FLAGS[,…];TEXT"; None if it is none.

    Lines after the first, which begin with a blank, are its dictionary (SUBSYSTEM=, DEVICE=) and are left out.
    """
    head, mark, rest = data.partition(b";")
    fields = head.split(b",")
    if not mark or len(fields) < 3 or not all(is_whole(field) for field in fields[:3]):
        return None
    text = rest.partition(b"\n")[0]
    shown = text[: 4 * MAX_TEXT].decode("utf-8", "replace")
    if "\\x" in shown:
        shown = _unescaped(text[: 4 * MAX_TEXT])
    return Record(int(fields[0]) >> 3, int(fields[1]), int(fields[2]), shown[:MAX_TEXT])


def _unescaped(text: bytes) -> str:
    r"""Return text in which the kernel wrote \xNN for what is no printable ASCII character, and for the backslash."""
    parts = text.split(b"\\x")
    out = [parts[0]]
    for part in parts[1:]:
        try:
            out.append(bytes([int(part[:2], 16)]) + part[2:])
        except ValueError:
            out.append(b"\\x" + part)
    return b"".join(out).decode("utf-8", "replace")


def from_journal(entry: Any) -> Record | None:
    """Return the record of one entry of ``journalctl -k -o json``, None where it has no text.

    The journal files what a program wrote to /dev/kmsg under _TRANSPORT=kernel as well: its SYSLOG_FACILITY tells them
    apart. A text that is not UTF-8 comes as a list of bytes.
    """
    if not isinstance(entry, dict):
        return None
    message = entry.get("MESSAGE")
    if isinstance(message, list) and all(isinstance(one, int) and 0 <= one < 256 for one in message):
        message = bytes(message).decode("utf-8", "replace")
    if not isinstance(message, str):
        return None
    facility = str(entry.get("SYSLOG_FACILITY", ""))
    trusted = entry.get("_TRANSPORT") == "kernel" and facility == "0"
    when = str(entry.get("_SOURCE_MONOTONIC_TIMESTAMP") or entry.get("__MONOTONIC_TIMESTAMP") or "")
    return Record(KERNEL if trusted else OTHER, -1, int(when) if is_whole(when) else -1, message[:MAX_TEXT])


def from_line(line: str) -> Record:
    """Return the record of a line that dmesg, a serial console or a syslog daemon printed, its prefixes taken off.

    Known are "[  812345.678901] ", "[Tue Mar  3 04:05:06 2026] ", "<4>",
    "kern  :warn  : 2026-03-03T04:05:06,789+00:00 " and "Mar  3 04:05:06 gpu07 kernel: ".
    Such a line says nothing certain of who wrote it.
    """
    text = line.rstrip("\n")[:MAX_TEXT]
    facility, usec = KERNEL, -1
    head, mark, rest = text.partition(">")
    if mark and head[:1] == "<" and is_whole(head[1:]):
        facility, text = int(head[1:]) >> 3, rest
    named, mark, rest = text.partition(":")
    if mark and named.strip() in FACILITIES:
        level, mark, after = rest.partition(":")
        if mark and level.strip().isalpha():
            facility, text = FACILITIES[named.strip()], _after_stamp(after.lstrip())
    head, mark, rest = text.partition(" kernel: ")
    if mark and len(head) < 80 and "(" not in head:
        text = rest
    if text[:1] == "[":
        stamp, mark, rest = text[1:].partition("]")
        if mark and _is_stamp(stamp):
            text, usec = rest[1:] if rest[:1] == " " else rest, _usec(stamp)
    return Record(facility, -1, usec, text)


def _after_stamp(text: str) -> str:
    """Return text without the ISO 8601 time in front of it, where there is one."""
    stamp, mark, rest = text.partition(" ")
    return rest if mark and is_whole(stamp[:4]) and "T" in stamp else text


def _is_stamp(text: str) -> bool:
    """Return whether the text in brackets is a time: seconds since the boot, or a date."""
    plain = text.strip()
    return is_whole(plain.replace(".", "", 1)) or (is_whole(plain[-4:]) and plain.count(":") == 2)


def _usec(stamp: str) -> int:
    seconds, mark, parts = stamp.strip().partition(".")
    if not mark or not is_whole(seconds) or not is_whole(parts):
        return -1
    return int(seconds) * 1_000_000 + int(f"{parts[:6]:0<6}")
