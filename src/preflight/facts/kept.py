"""Dear facts kept for prolog after prolog: what the last epilog or health check of this boot read, with its age."""

from __future__ import annotations

import time

from preflight import __version__
from preflight.facts.answer import Answer, unknown
from preflight.facts.cache import boot_id
from preflight.facts.registry import Fact
from preflight.files import read_json, tolerate, write_json


def _place(run_dir: str, fact: Fact) -> str:
    return f"{run_dir}/kept-{fact.subject}.json"


def keep(run_dir: str, fact: Fact, answer: Answer) -> None:
    """Keep ``answer`` in root's ``run_dir``; one with unknown parts, or that can't be written, is not kept."""
    if answer.unknown:
        return
    with tolerate(OSError):
        stored = {"version": __version__, "boot": boot_id(), "at": _now(), "values": answer.values}
        write_json(_place(run_dir, fact), stored)


def kept(run_dir: str | None, fact: Fact) -> Answer:
    """Return what was kept, with ``age_s``; unknown where it is older than ``fact.keep_s`` or of another boot."""
    stored = read_json(_place(run_dir, fact)) if run_dir else None
    why = f"no epilog or health check has read it in the last {fact.keep_s / 60:g} minutes"
    if not isinstance(stored, dict) or (stored.get("version"), stored.get("boot")) != (__version__, boot_id()):
        return unknown(why)
    at, values = stored.get("at"), stored.get("values")
    if not isinstance(at, (int, float)) or not isinstance(values, dict) or not 0 <= _now() - at <= fact.keep_s:
        return unknown(why)
    return Answer({**values, "age_s": int(_now() - at)})


def _now() -> float:
    """Return seconds since the boot: no clock that is set moves it."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
