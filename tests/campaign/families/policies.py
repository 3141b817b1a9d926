"""Policies that are wrong, absurd, or change while hooks run."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from campaign.fault import Fault
from campaign.world import World, settle

SCENES = ("fit", "misfit", "sick", "health-sick")
VALUES = (
    "0",
    "-1",
    "1e9",
    "nan",
    "inf",
    '"x"',
    "[]",
    "{}",
    "true",
    "9" * 40,
    '""',
    '"\\u0000"',
    '"/dev/null"',
    '"../x"',
    '"%n%n"',
)
KEYS = {
    "hook": ("deadline_s", "max_requeues", "slurm_bin", "slurm_conf", "on_unknown"),
    "drain": ("max_nodes", "kill_switch"),
    "report": ("spool", "dir", "write_s", "keep_days", "admin_group"),
    "facts": ("root", "live", "cuda_prefixes", "module_paths"),
    "nvml": ("library",),
}
ELSEWHERE = ("spool", "kill_switch", "root", "library")
WHOLE = {
    "a byte order mark": "\ufeff@",
    "CRLF": None,
    "NULs at the end": "@" + "\0" * 100,
    "nothing": "",
    "version 2": "version = 2\n",
    "twice": "@@",
    "20,000 arrays": "x = " + "[" * 20_000,
    "a long key": "x" * 900_000 + " = 1\n@",
    "too large": "@# " + "x" * (1 << 20),
    "binary": "\x7fELF\x01\x02",
    "a misspelt mode": '@Mode = "observe"\n',
    "no mode": "@-mode",
    "a mode of no kind": "@-mode+off",
    "a million nodes": '@[[expect]]\nnodes = "n[1-999999999]"\nrequire = "gpu=h100"\n',
    "brackets": '@[[expect]]\nnodes = "' + "n[1-9]" * 40 + '"\nrequire = "gpu=h100"\n',
    "a clause that cannot be read": '@[[expect]]\nrequire = "gpu=h100 x >"\n',
    "a clause on shm": '@[[expect]]\nrequire = "shm>=1000T"\n',
    "a clause on tmp": '@[[expect]]\nrequire = "tmp>=1000T"\n',
    "10,000 expectations": "@" + '[[expect]]\nrequire = "gpu=h100"\n' * 10_000,
    "an unknown check": '@[checks."gpu.nothing"]\naction = "drain"\n',
    "an unknown action": '@[checks."gpu.ecc.uncorrected"]\naction = "explode"\n',
    "an unknown table": "@[explode]\nx = 1\n",
}


def faults() -> Iterator[Fault]:
    """Policies as wholes, each key with each absurd value, and policies that change under a hook."""
    for scene in SCENES:
        for name in WHOLE:
            yield Fault("policies", f"the policy holds {name}", scene, partial(_whole, name=name), kills=True)
        for table, keys in KEYS.items():
            for key in keys:
                for value in VALUES:
                    inject = partial(_value, table=table, key=key, value=value)
                    yield Fault(
                        "policies",
                        f"[{table}] {key} = {value[:20]}",
                        scene,
                        inject,
                        kills=True,
                        unwritable=key in ELSEWHERE,
                        # Another limit, or other facts: the site asked for it.
                        drains=key in ("root", "library", "live"),
                    )
        for way in ("in place", "by rename", "drop-ins"):
            for other in ("the same", "half of it", "nothing", "observe"):
                inject = partial(_changing, way=way, other=other)
                yield Fault("policies", f"it becomes {other} {way}, again and again", scene, inject)


@contextmanager
def _written(world: World, data: bytes) -> Iterator[None]:
    world.config.write_bytes(data)
    settle(world.config)
    yield
    world.policy()


@contextmanager
def _whole(world: World, name: str) -> Iterator[None]:
    text, sound = WHOLE[name], world.policy_text()
    if text is None:
        text = sound.replace("\n", "\r\n")
    elif text.startswith("@-mode"):
        text = world.policy_text(top='mode = "off"' if "+off" in text else "")
    else:
        text = text.replace("@", sound)
    with _written(world, text.encode("utf-8", "surrogateescape")):
        yield


@contextmanager
def _value(world: World, table: str, key: str, value: str) -> Iterator[None]:
    lines = [line for line in world.policy_text().splitlines() if not line.startswith(f"{key} =")]
    lines = [f"{line}\n{key} = {value}" if line == f"[{table}]" else line for line in lines]
    with _written(world, "\n".join(lines).encode()):
        yield


@contextmanager
def _changing(world: World, way: str, other: str) -> Iterator[None]:
    sound, over = world.policy_text(), threading.Event()
    observe = world.policy_text(top='mode = "observe"')
    text = {"the same": sound, "half of it": sound[: len(sound) // 2], "nothing": "", "observe": observe}[other]
    place = world.place / "p.d" / "50-other.toml" if way == "drop-ins" else world.config

    def change() -> None:
        while not over.is_set():
            for one in (text, sound if way != "drop-ins" else "[report]\nkeep_days = 31\n"):
                if way == "by rename":
                    new = place.with_suffix(".new")
                    new.write_text(one)
                    os.rename(new, place)
                else:
                    place.write_text(one)
                over.wait(0.005)

    thread = threading.Thread(target=change)
    thread.start()
    yield
    over.set()
    thread.join()
    if way == "drop-ins":
        place.unlink()
    world.policy()
