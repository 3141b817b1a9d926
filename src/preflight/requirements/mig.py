"""MIG devices in requirements: profiles, how many there are of each, and what nodes publish of them."""

from __future__ import annotations

from preflight.facts.view import Unknown, View, attribute
from preflight.requirements import judges
from preflight.requirements.kinds import Count, Kind
from preflight.requirements.kinds_of_names import is_profile, with_profile
from preflight.requirements.logic import every
from preflight.requirements.row import Answer, Ask
from preflight.requirements.text import safe
from preflight.tuples import NamedTuple

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

_COUNT = Count()
PATH = "gpus.mig_devices"
_MIB = 1 << 20
_MANY = 1 << 20  # more MIG devices than any node has


class Profiles(Kind):
    """A profile and how many MIG devices are of it, as Slurm writes a gres: 1g.5gb:7; without a number any at all."""

    name = "profile"
    operators = ("=", "!=", ">=", ">", "<=", "<")
    value_help = "a MIG profile, perhaps with a number of devices, such as 1g.5gb:7"

    def parse(self, value: str) -> tuple[str, int | None]:
        """Return the profile, lower case, and the number, None where none is written."""
        profile, colon, number = value.strip().casefold().partition(":")
        if not is_profile(profile.strip()):
            raise ValueError("is not a MIG profile: 3g.40gb, 1g.10gb+me, 1c.3g.40gb")
        return profile.strip(), _COUNT.parse(number.strip()) if colon else None

    def check(self, op: str, asked: Any) -> None:
        """Refuse an order without a number."""
        if asked[1] is None and op not in ("=", "!="):
            raise ValueError(f"{op} needs a number of devices, such as {asked[0]}:2")

    def compare(self, op: str, asked: Any, have: Any) -> bool | None:
        """Compare how many devices of the profile there are; ``have`` is a number."""
        if asked[1] is None:
            some = _COUNT.truth(have)
            return some if op == "=" or some is None else not some
        return _COUNT.compare(op, asked[1], have)

    def encode(self, have: Any) -> int | None:
        """Return the number."""
        return _COUNT.encode(have)


class Listed(NamedTuple):
    """The MIG devices considered: each one's profile (None: not told), and why there may be more, "" where not."""

    profiles: tuple[str | None, ...]
    more: str = ""

    def numbers(self, profile: str | None, asked: int) -> list[int]:
        """Return how many there may be of a profile (None: of all), as far as that matters beside ``asked``."""
        sure = len(self.profiles) if profile is None else self.profiles.count(profile)
        untold = 0 if profile is None else self.profiles.count(None)
        if self.more:
            untold = max(untold, asked + 2 - sure)
        return list(range(sure, sure + max(0, untold) + 1))

    def shown(self) -> str:
        """Return "MIG devices 3g.40gb:2, 1g.10gb:1"."""
        counts = [f"{one or '?'}:{self.profiles.count(one)}" for one in dict.fromkeys(self.profiles)]
        text = f"MIG devices {', '.join(counts[:6])}{' and others' * (len(counts) > 6)}" if counts else "no MIG device"
        return safe(text, 160)


def listed(view: View) -> Listed | Unknown:
    """Return the MIG devices of a view: a job's own, or all that the GPUs considered are cut into."""
    devices = view.devices()
    if isinstance(devices, Unknown):
        return devices
    found: list[str | None] = []
    more = view.unknown.get(PATH, "") if devices else ""
    for device in devices:
        if "profile" in device:  # a MIG device itself
            found.append(_folded(device["profile"]))
            continue
        cut = device.get("mig_devices")
        if isinstance(cut, list):
            found += [_folded(one.get("profile")) if isinstance(one, dict) else None for one in cut]
            continue
        on = attribute(device, "mig")
        told = attribute(device, "mig_devices") if on or "mig_devices" in device.get("errors", {}) else None
        reason = on if isinstance(on, Unknown) else told
        if isinstance(reason, Unknown) and not more:
            more = f"GPU {safe(device.get('index', '?'), 8)}: {safe(reason.reason, 80)}"
    return Listed(tuple(found), more)


def published(view: View) -> dict[str, tuple[int, int | None]] | None:
    """Return of each profile that the node's GPUs are cut into how many devices, and the least memory of one in MiB.

    None where not all of it is told; the memory is None where one's is not.
    """
    have = listed(view._replace(gpus=None, slices=()))
    if isinstance(have, Unknown) or have.more or None in have.profiles:
        return None
    memory: dict[str, list[Any]] = {}
    for device in view.facts.get("gpus", {}).get("devices") or []:
        for one in device.get("mig_devices") or []:
            memory.setdefault(_folded(one["profile"]) or "", []).append(one.get("memory"))
    return {
        profile: (len(sizes), min(sizes) // _MIB if all(isinstance(size, int) for size in sizes) else None)
        for profile, sizes in sorted(memory.items())
    }


def _folded(profile: Any) -> str | None:
    return profile.casefold() if isinstance(profile, str) and profile else None


def judge(ask: Ask, view: View) -> Answer:
    """Judge a number of MIG devices, of one profile or of all; unknown where it hangs on what is not told."""
    ask = ask.positive()
    have = listed(view)
    if isinstance(have, Unknown):
        return judges.untold(ask.row.noun, have.reason)
    profile, number = ask.asked if isinstance(ask.row.kind, Profiles) else (None, ask.asked)
    truths = {ask.holds(one) for one in have.numbers(profile, min(number or 0, _MANY))}
    observed = have.shown()
    if len(truths) > 1:
        return Answer(None, observed, reason=have.more or "the profile of a MIG device is not told")
    statement = None if view.gpus is None else judges.NO_GPU if not view.devices() else f"the job has {observed}"
    return Answer(ask.signed(truths.pop()), observed, statement)


def name(ask: Ask, view: View) -> Answer:
    """Judge the GPUs' name. Of a whole node a profile asks for one such MIG device, words before it for every GPU."""
    ask = ask.positive()
    rest, profile = with_profile(ask.asked)
    if not profile or view.gpus is not None:
        return judges.every_gpu(ask, view)
    have = listed(view)
    if isinstance(have, Unknown):
        return judges.untold(ask.row.noun, have.reason)
    counts = have.numbers(profile, 1)
    there = True if counts[0] else False if counts[-1] == 0 else None
    gpus = judges.every_gpu(ask._replace(asked=rest, negated=False), view) if rest else None
    truth = ask.signed(every((there, gpus.truth)) if gpus else there)
    observed = f"{gpus.observed}, {have.shown()}" if gpus else have.shown()
    reason = have.more or (gpus.reason if gpus else None) or "the profile of a MIG device is not told"
    return Answer(truth, observed, None, reason if truth is None else None)
