"""What is remembered of the kernel's log of this boot: how far it was read, and the events that were found.

An event stays until the next boot, so that each hook judges by all of them, whoever read them first. `state` of one
says why it is past: "stale" (from long before anybody looked), "cleared" (the driver was loaded again, or says that
nothing is left to be recovered), "handled" (an admin gave the node back since).
"""

from __future__ import annotations

import time

from preflight.facts.cache import BOOT_ID
from preflight.facts.gpu_jobs import job_of
from preflight.facts.kmsg.event import Event
from preflight.facts.kmsg.source import Chunks, Place
from preflight.facts.rootfs import Root
from preflight.files import read_json, tolerate, write_json

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from preflight.facts.kmsg.kinds import Reading
    from preflight.facts.kmsg.records import Record

MAX_EVENTS = 96  # they stand in each report
CROWD = 8  # of one kind, number and GPU that are kept before any other is given up
FIRST_LOOK_S = 3600.0  # an event older than this at the first look of a boot was somebody else's to act on
SAVE_EVERY = 256  # records without an event after which the position is written all the same
GPU_KINDS = ("xid", "off_the_bus", "gsp", "gpu_init", "nvlink")
DEFAULTS: dict[str, Any] = {
    **Event("", "")._asdict(),
    "first": 0,
    "last": 0,
    "first_s": -1.0,
    "last_s": -1.0,
    "state": "",
}


class History:
    """The record of one node in root's own ``directory``; None keeps nothing between runs."""

    def __init__(self, directory: str | None, node: str, root: Root) -> None:
        self._path = None if directory is None else f"{directory}/kernel-log-{node}.json"
        self._root = root
        self.boot = _boot(root)
        stored: dict[str, Any] = (read_json(self._path) if self._path else None) or {}
        good = _well_formed(stored) and stored["boot"] == self.boot
        self.first_look = not good or stored["looking"]
        self._looking = self.first_look
        self.seq: int = stored["seq"] if good else -1
        self.lost: int = stored["lost"] if good else 0
        self.offset: int = stored["offset"] if good else 0
        self.cursor: str = stored["cursor"] if good else ""
        self.identity: str = stored["identity"] if good else ""
        self.last_s: float = stored["last_s"] if good else -1.0
        self.events: list[dict[str, Any]] = [{**DEFAULTS, **one} for one in stored["events"]] if good else []
        self._saved = self.seq
        self._changed = not good
        self._fresh: dict[tuple[Any, ...], dict[str, Any]] = {}  # those of this read, by what makes them one

    def read(self, place: Place, budget_s: float) -> bool:
        """Take what the log has new, for ``budget_s`` seconds at most; return whether all of it was read."""
        if place.kind == "file" and not (self.identity and place.identity.startswith(self.identity)):
            self.offset = 0  # another file
        if place.identity != self.identity:
            self.identity, self._changed = place.identity, True
        chunks = Chunks(place, self.seq, self.offset, budget_s)
        records = iter(chunks)
        first = next(records, None)
        if first is not None:
            self._scan(first, records, place.kind == "device")
        self.lost += chunks.lost
        self._changed = self._changed or chunks.offset != self.offset or chunks.lost > 0
        self.offset = chunks.offset
        self.settle(chunks.complete)
        return chunks.complete

    def _scan(self, data: bytes, records: Iterator[bytes], numbered: bool) -> None:
        """Take ``data`` and the records after it; mostly there are none, and nothing of this is imported."""
        from preflight.facts.kmsg.kinds import NEEDLES, Reading
        from preflight.facts.kmsg.records import from_kmsg, from_line

        reading = Reading()
        while True:
            record = None
            if any(needle in data for needle in NEEDLES):
                record = from_kmsg(data)
                if record is None and not numbered:
                    record = from_line(data.decode("utf-8", "replace"))
            if record is not None:
                self.take(record, reading)
            elif not numbered:
                self.seq += 1
            last, data = data, next(records, b"")
            if not data:
                break
        self._position(from_kmsg(last), numbered)

    def _position(self, record: Record | None, numbered: bool) -> None:
        if record is not None:
            self.seq = max(self.seq, record.seq) if numbered else self.seq
            self.last_s = max(self.last_s, record.usec / 1e6)

    def take(self, record: Record, reading: Reading) -> None:
        """Count ``record``, and keep the event that it tells of if it is the kernel's own."""
        self.seq = record.seq if record.seq > self.seq else self.seq + 1
        at = record.usec / 1e6 if record.usec >= 0 else -1.0
        self.last_s = max(self.last_s, at)
        event = reading.event(record) if record.facility == 0 else None  # the kernel's own
        if event is not None:
            self._add(event, at)

    def _add(self, event: Event, at: float) -> None:
        from preflight.facts.kmsg.kinds import LOADED, SERVER_BACK
        from preflight.facts.kmsg.xid import RECOVERY

        self._changed = True
        if event.kind in (LOADED, SERVER_BACK):
            for one in self.events:
                if (event.kind == LOADED and one["kind"] in GPU_KINDS) or (
                    event.kind == SERVER_BACK and one["subject"] == event.subject
                ):
                    one["state"] = one["state"] or "cleared"
            return
        if event.kind == "xid" and event.code == RECOVERY and event.level == 0:
            for one in self.events:
                if one["kind"] in GPU_KINDS and one["bus"] == event.bus:
                    one["state"] = one["state"] or "cleared"
            return
        known = self._fresh.get(event.key())
        if known is not None and not known["state"]:
            known.update(last=self.seq, last_s=at, times=known["times"] + event.times)
            return
        added = {**event._asdict(), "first": self.seq, "last": self.seq, "first_s": at, "last_s": at, "state": ""}
        self.events.append(added)
        self._fresh[event.key()] = added
        if len(self.events) > 4 * MAX_EVENTS:
            self.events, self._fresh = _fewer(self.events), {}

    def settle(self, complete: bool = True) -> None:
        """Call what is long past stale at the first look of a boot, and keep no more events than MAX_EVENTS.

        ``complete``: the log was read to its end; the first look lasts until it was.
        """
        now = self.now()
        if self.first_look:
            for one in self.events:
                if 0 <= one["last_s"] < now - FIRST_LOOK_S:
                    one["state"] = one["state"] or "stale"
            self._changed = self._changed or self._looking == complete
            self._looking = not complete
        if len(self.events) > MAX_EVENTS:
            self.events = _fewer(self.events)

    def now(self) -> float:
        """Return the seconds since the boot; of a log that is not this machine's, its last record's."""
        return max(time.monotonic(), self.last_s) if self._root.own else self.last_s

    def save(self) -> None:
        """Write it down, where something changed; a file that can't be written is no error: it is read again."""
        if self._path is None or not (self._changed or self.seq - self._saved > SAVE_EVERY):
            return
        with tolerate(OSError):
            write_json(
                self._path,
                {
                    "boot": self.boot, "seq": self.seq, "lost": self.lost, "offset": self.offset, "cursor": self.cursor,
                    "looking": self._looking, "identity": self.identity, "last_s": self.last_s,
                    "events": [{k: v for k, v in one.items() if v != DEFAULTS.get(k)} for one in self.events],
                },
            )  # fmt: skip

    def at_cursor(self, cursor: str) -> None:
        """Remember where in the journal the last entry stood."""
        if cursor != self.cursor:
            self.cursor, self._changed = cursor, True

    def name_jobs(self) -> None:
        """Name the job of each event of this read whose process still lives in one of Slurm's control groups."""
        for one in self._fresh.values():
            if one["pid"] and one["job"] is None:
                one["job"] = job_of(self._root, one["pid"])

    def attribute(self, job: int, events: list[dict[str, Any]]) -> None:
        """Name the job of events (by their records' numbers) that came while it had their GPU to itself."""
        numbers = {(one["first"], one["kind"]) for one in events}
        for one in self.events:
            if one["job"] is None and (one["first"], one["kind"]) in numbers:
                one["job"], self._changed = job, True
        self.save()

    def shown(self, *kinds: str) -> list[dict[str, Any]]:
        """Return the events as a facts document holds them; of ``kinds``, where any is named, and those that count."""
        chosen = [one for one in self.events if not kinds or (one["kind"] in kinds and not one["state"])]
        return [{**one, **{key: None if one[key] < 0 else one[key] for key in ("first_s", "last_s")}} for one in chosen]

    def handle(self, seq: int) -> None:
        """Let no event up to record ``seq`` be acted on again: an admin gave the node back, or has it in hand."""
        for one in self.events:
            if not one["state"] and one["last"] <= seq:
                one["state"], self._changed = "handled", True
        self.save()


def _boot(root: Root) -> str:
    try:
        return (root.live_read(BOOT_ID, 256) or "").strip()
    except OSError:
        return ""


def _key(one: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(one[name] for name in ("kind", "code", "bus", "instance", "pid", "subject", "severity", "level"))


def _fewer(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return at most MAX_EVENTS: the same told again is counted into its latest; then the past and crowds go."""
    merged: dict[tuple[Any, ...], dict[str, Any]] = {}
    for one in events:
        key = (*_key(one), one["state"])
        before = merged.pop(key, None)
        merged[key] = one if before is None else {
            **one, "first": before["first"], "first_s": before["first_s"], "times": before["times"] + one["times"]
        }  # fmt: skip
    left = list(merged.values())
    crowds: dict[tuple[Any, ...], int] = {}
    for one in left[::-1]:  # a program may start others without end: of what only differs by that, the latest
        crowd = (one["kind"], one["code"], one["bus"], one["severity"], one["level"])
        crowds[crowd] = one["rank"] = crowds.get(crowd, 0) + 1
    left.reverse()  # so that the latest of equals is kept
    order = sorted(left, key=lambda one: (bool(one["state"]), one["rank"] > CROWD, one["kind"] not in GPU_KINDS))
    kept = {id(one) for one in order[:MAX_EVENTS]}
    for one in left:
        del one["rank"]
    return [one for one in left[::-1] if id(one) in kept]


def _well_formed(stored: Any) -> bool:
    """Return whether what was read has a record's form; else it is a first look again."""
    kinds: dict[str, Any] = {
        "boot": str, "seq": int, "lost": int, "offset": int, "cursor": str, "identity": str, "looking": bool,
        "last_s": (int, float), "events": list,
    }  # fmt: skip
    if not isinstance(stored, dict) or not all(isinstance(stored.get(key), kind) for key, kind in kinds.items()):
        return False
    events: Iterable[Any] = stored["events"]
    return all(
        isinstance(one, dict) and all(_same(one.get(key, value), value) for key, value in DEFAULTS.items())
        for one in events
    )


def _same(value: Any, like: Any) -> bool:
    """Return whether a value is of its default's kind: a text, a number, or a number that may be missing."""
    if isinstance(like, str):
        return isinstance(value, str)
    return isinstance(value, (int, float)) or (value is None and like is None)
