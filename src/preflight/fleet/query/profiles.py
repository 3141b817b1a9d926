"""Profiles as flat rows of fact and value, and what changed on a node."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from preflight.fleet.store.interface import Reader

MAX_TEXT = 200
Flat = dict[str, str]


class Change(NamedTuple):
    """A fact of a node that changed: seen as ``before`` until ``last_ms``, as ``after`` from ``first_ms`` on."""

    first_ms: int
    fact: str
    before: str
    after: str


def flat(text: bytes) -> Flat:
    """Return a profile as fact -> value; of a node's GPUs one value where they agree, all of them where not."""
    facts: Flat = {}
    for subject, keys in json.loads(text).items():
        if not isinstance(keys, dict):
            continue
        for key, value in keys.items():
            if subject == "gpus" and key == "devices":
                facts.update(_devices(value))
            else:
                facts[f"{subject}.{key}"] = _word(value)
    return facts


def flats(store: Reader, hashes: set[bytes]) -> dict[bytes, Flat]:
    """Return the profiles of ``hashes``, each as fact -> value."""
    found: dict[bytes, Flat] = {}
    wanted = sorted(hashes)
    for begin in range(0, len(wanted), 500):
        part = wanted[begin : begin + 500]
        marks = ", ".join("?" * len(part))
        for hash_, text in store.rows(f"SELECT hash, text FROM profiles WHERE hash IN ({marks})", part):
            found[bytes(hash_)] = flat(bytes(text))
    return found


def changes(store: Reader, node: int, begin_day: int) -> list[Change]:
    """Return what changed on a node since ``begin_day`` (days since the epoch), in order of time."""
    rows = store.rows(
        "SELECT hash, min(first_ms), max(last_ms) FROM node_profiles WHERE node = ? AND day >= ?"
        " GROUP BY hash, day ORDER BY 2",
        (node, begin_day),
    )
    spans: list[tuple[bytes, int]] = []
    for hash_, first, _ in rows:
        if not spans or spans[-1][0] != bytes(hash_):
            spans.append((bytes(hash_), first))
    known = flats(store, {hash_ for hash_, _ in spans})
    found = []
    seen: Flat = {}
    for hash_, first in spans:
        # Not every phase reads every fact: one that is not in a profile was not looked at, and has not changed.
        for fact, after in sorted(known.get(hash_, {}).items()):
            before = seen.get(fact, after)
            if before != after:
                found.append(Change(first, fact, before, after))
            seen[fact] = after
    return found


def _devices(devices: Any) -> Flat:
    values: dict[str, list[str]] = {}
    for device in devices if isinstance(devices, list) else ():
        for key, value in device.items():
            if key != "index":
                values.setdefault(key, []).append(_word(value))
    return {f"gpus.{key}": its[0] if len(set(its)) == 1 else ", ".join(its)[:MAX_TEXT] for key, its in values.items()}


def _word(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value[:MAX_TEXT] or "-"
    if isinstance(value, list) and all(isinstance(one, (str, int, float)) for one in value):
        return ", ".join(map(str, value))[:MAX_TEXT] or "-"
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)[:MAX_TEXT]
