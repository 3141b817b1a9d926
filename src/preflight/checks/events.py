"""The kernel log's events as checks see them: which still count, whose GPU they are about, and which are a job's."""

from __future__ import annotations

from preflight.catalog.xids import OFF, Effect, effect
from preflight.checks.registry import JobGpus, subject_of
from preflight.facts.view import Facts, Unknown, View
from preflight.policy.model import Policy
from preflight.tuples import NamedTuple

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

    Row = dict[str, Any]

DAY_S = 86400.0  # a warning is told for so long after its last record


class Board(NamedTuple):
    """The GPU that an event is about: its subject, "gpu3", and its position, None where NVML does not list it."""

    subject: str
    position: int | None


def events(view: View, *kinds: str) -> list[Row]:
    """Return the events of these kinds that still count: not stale, cleared or handled."""
    return [one for one in every(view, *kinds) if not one["state"]]


def every(view: View, *kinds: str) -> list[Row]:
    """Return all events of these kinds in this boot; [] where the log could not be read, which `kernel.log` says."""
    found = view.get("kernel_log.events")
    return [] if isinstance(found, Unknown) else [one for one in found if one["kind"] in kinds]


def recent(view: View, *kinds: str) -> list[Row]:
    """Return those of `events` whose last record is less than a day old."""
    now = view.get("kernel_log.now_s")
    limit = 0.0 if isinstance(now, Unknown) else now - DAY_S
    return [one for one in events(view, *kinds) if one["last_s"] is None or one["last_s"] >= limit]


def age(view: View, event: Row) -> str:
    """Return how long ago the event's last record was written: "35 s ago", "3 h ago", "" where that is not known."""
    now = view.get("kernel_log.now_s")
    if isinstance(now, Unknown) or event["last_s"] is None:
        return ""
    seconds = max(0.0, now - event["last_s"])
    for unit, size in (("d", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"


def board(view: View, event: Row) -> Board:
    """Return the GPU at the event's PCI address; by the address alone where NVML lists none there."""
    bus = event["bus"]
    devices = (view.facts.get("gpus") or {}).get("devices") or []
    if not bus:
        return Board("node", None)
    from preflight.facts.kmsg.event import bus_id

    silent = []
    for at, device in enumerate(devices):
        told = device.get("bus_id")
        if told and bus_id(told) == bus:
            return Board(subject_of(device), at)
        if not told:
            silent.append(at)
    if len(silent) == 1:  # it does not tell its address any more
        return Board(subject_of(devices[silent[0]]), silent[0])
    return Board(f"pci {bus.replace(':', '.')}", None)


def worth(event: Row, policy: Policy) -> Effect:
    """Return what an Xid is worth under the site's policy ([xids])."""
    said = policy.xids.get(str(event["code"]))
    if said:
        return Effect(said)
    return effect(event["code"], event["severity"], event["level"], policy.tables())


class Theirs(NamedTuple):
    """Events of a job's time on its GPUs: its own, and those that may be another job's as well."""

    own: list[Row]
    unsure: list[Row]


def of_job(view: View, before: Facts | None, gpus: JobGpus | None, ran_s: float | None, *kinds: str) -> Theirs:
    """Return the events while the job ran that are about its GPUs, or its processes.

    ``before``: the facts of its prolog, ``ran_s``: seconds since that. Without either nothing is the job's. An event
    without an address is the job's where its process is, or where all the node's GPUs are.
    """
    own: list[Row] = []
    unsure: list[Row] = []
    now = view.get("kernel_log.now_s")
    start = (before or {}).get("kernel_log", {}).get("seq")
    for one in every(view, *kinds):
        if isinstance(start, int):
            during = one["last"] > start
        else:
            during = ran_s is not None and one["last_s"] is not None and one["last_s"] >= now - ran_s
        if not during or gpus is None or one["job"] not in (None, gpus.job):
            continue
        if one["job"] is not None:
            own.append(one)
        elif one["kind"] in ("xid", "nccl_segfault"):
            place = board(view, one)
            if _whole(place, view, gpus) or _slice(place, one, view, gpus):
                (unsure if gpus.shared else own).append(one)
    return Theirs(own, unsure)


def _whole(place: Board, view: View, gpus: JobGpus) -> bool:
    """Return whether the event's GPU is the job's, all of it; of one without an address, whether all GPUs are."""
    if place.position is not None:
        return place.position in gpus.positions
    devices = (view.facts.get("gpus") or {}).get("devices") or []
    return place.subject == "node" and len(gpus.positions) == len(devices) > 0


def _slice(place: Board, event: Row, view: View, gpus: JobGpus) -> bool:
    """Return whether the event is of a MIG device of the job's; one that names no instance is of the whole GPU."""
    devices = (view.facts.get("gpus") or {}).get("devices") or []
    for at, number in gpus.slices:
        listed = devices[at].get("mig_devices") or [] if at < len(devices) else []
        if at == place.position and number < len(listed):
            return event["instance"] is not None and event["instance"] == listed[number].get("gi")
    return False


def xid_changes(
    view: View, before: Facts | None, gpus: JobGpus | None, ran_s: float | None, policy: Policy
) -> list[Row]:
    """Return [{fact, before, after, blame}] of the Xids while the job ran: a program's own are the user's."""
    found = []
    theirs = of_job(view, before, gpus, ran_s, "xid")
    for one in theirs.own:
        value = worth(one, policy)
        if value.action != OFF or value.user:
            blame = "user" if value.user else "node"
            found.append(
                {"fact": f"{board(view, one).subject}.xid", "before": None, "after": xid_text(one), "blame": blame}
            )
    return found


def xid_text(event: Row) -> str:
    """Return "79 (GPU fallen off the bus)", with how often it came where that is more than once."""
    from preflight.catalog.xids import xid

    row = None if event["code"] is None else xid(event["code"])
    often = f" {event['times']} times" if event["times"] > 1 else ""
    code = "without a number" if event["code"] is None else str(event["code"])
    return f"{code}{often}" + (f" ({row.name})" if row else "")
