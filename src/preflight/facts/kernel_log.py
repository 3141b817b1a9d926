"""The kernel's log: what the kernel itself said since the boot."""

from __future__ import annotations

import os

from preflight.facts.answer import Answer, explain, unknown
from preflight.facts.registry import fact
from preflight.facts.rootfs import Root

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from preflight.facts.kmsg.history import History

BUDGET_S = 1.0
PROLOG_S = 0.05  # a job waits: what there is no time for is left to the epilog and the health check
PROLOGS = ("xid", "sxid", "off_the_bus")  # what a prolog is told of


@fact(
    "kernel_log",
    keys={
        "source": "text: kmsg, file, pipe, journal, or none where another root has no log",
        "seq": "integer: number of the last record that was read",
        "now_s": "number s: since the boot, of the log's clock",
        "lost": "count: records that were overwritten before they were read",
        "complete": "flag: the log was read to its end",
        "events": [
            {
                **dict.fromkeys(("kind", "text", "bus", "name", "subject", "severity", "state"), "text"),
                **dict.fromkeys(("code", "instance", "pid", "job", "level"), "count?"),
                "times": "count: records that are counted as one",
                **dict.fromkeys(("first", "last"), "integer: number of the record"),
                **dict.fromkeys(("first_s", "last_s"), "number? s: since the boot"),
            }
        ],
    },
)
def read(root: Root) -> Answer:
    """What the kernel said since the boot: Xids, memory, PCIe and disk errors, OOM kills.

    Only its own records count, which no program can write. From /dev/kmsg, or the journal where that is closed; a
    prolog reads what is new, from where the last run ended. Beneath another root only that root's own /dev/kmsg counts.
    """
    if not hasattr(os, "O_NONBLOCK"):  # the log's end would be waited for
        return unknown("this system cannot read a log without waiting")
    from preflight.facts.kmsg.source import open_log

    source = root.source
    prolog = source.phase == "prolog"
    try:
        place, why = open_log(root), "no /dev/kmsg"
    except OSError as error:
        place, why = None, explain(error)
        if not root.own:
            return unknown(why)
    if place is None and not root.own:
        return Answer({"source": "none", "seq": -1, "now_s": 0.0, "lost": 0, "complete": True, "events": []})
    from preflight.facts.kmsg.history import History

    log = History(source.run_dir, source.node, root)
    if place is None:
        return _journal(log, prolog, why)
    try:
        complete = log.read(place, PROLOG_S if prolog else BUDGET_S)
    except OSError as error:
        return unknown(explain(error))
    finally:
        os.close(place.descriptor)
    log.name_jobs()
    log.save()
    return Answer(_values(log, {"device": "kmsg"}.get(place.kind, place.kind), complete, prolog))


def _journal(log: History, prolog: bool, why: str) -> Answer:
    """Return what the journal has; a prolog takes what an epilog or a health check found in it."""
    if prolog:
        return Answer(_values(log, "journal", True, prolog)) if not log.first_look else unknown(why)
    from preflight.facts.kmsg.journal import read_journal

    try:
        complete = read_journal(log, BUDGET_S)
    except OSError as error:
        return unknown(f"{why}; {explain(error)}")
    log.name_jobs()
    log.save()
    return Answer(_values(log, "journal", complete))


def _values(log: History, source: str, complete: bool, prolog: bool = False) -> dict[str, object]:
    return {
        "source": source,
        "seq": log.seq,
        "now_s": round(max(0.0, log.now()), 1),
        "lost": log.lost,
        "complete": complete,
        "events": log.shown(*(PROLOGS if prolog else ())),
    }
