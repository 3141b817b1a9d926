"""Limits of processes, memory, descriptors and CPU: rlimits, cgroups, and system calls that are refused."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from campaign.fault import Fault, NotHere, shim, shimmed
from campaign.world import World

SCENES = ("fit", "misfit", "sick", "epilog", "health-half-moved", "health-sick")
RLIMITS = {
    "nofile": (11, 12, 13, 14, 16, 20, 32),  # with fewer sh cannot open its own script, nor slurmd do anything
    "as": tuple(n << 20 for n in (8, 16, 24, 32, 48, 64, 96, 128, 256)),
    "data": tuple(n << 20 for n in (1, 4, 8, 16, 32)),
    "stack": tuple(n << 10 for n in (16, 64, 128, 256)),
    "fsize": (0, 1, 100, 1000, 4096, 10000, 30000),
    "cpu": (1,),
    "sigpending": (0,),
    "memlock": (0,),
    "core": (0,),
    "msgqueue": (0,),
}
CGROUPS = {
    "pids": ("pids.max", tuple(str(n) for n in range(1, 11))),
    "memory": ("memory.limit_in_bytes", ("1M", "4M", "8M", "12M", "16M", "20M", "24M", "32M", "48M")),
    "cpu": ("cpu.cfs_quota_us", ("1000", "2000", "5000", "10000")),
}
CALLS = {
    "fork": (11, 12),
    "pipe": (24, 23),
    "memfd": (24, 12, 1),
    "mmap": (12,),
    "spawn": (11, 12, 2, 13, 8, 26),
    "socket": (24, 97, 13),
}


def faults() -> Iterator[Fault]:
    """Every limit in every scene."""
    for scene in SCENES:
        for name, values in RLIMITS.items():
            for value in values:
                prefix = json.dumps(["prlimit", f"--{name}={value}", "--"])
                yield Fault(
                    "limits",
                    f"rlimit {name} {value}",
                    scene,
                    partial(shimmed, PREFIX=prefix),
                    starves=True,
                    unwritable=name == "fsize",
                )
        for name, (key, levels) in CGROUPS.items():
            for level in levels:
                inject = partial(_in_cgroup, controller=name, key=key, value=level)
                yield Fault("limits", f"cgroup {key} {level}", scene, inject, starves=True)
        for call, errors in CALLS.items():
            for error in errors:
                for nth in (0, 1, 2, 3):
                    name = f"{call} fails with errno {error}, {f'call {nth}' if nth else 'each'}"
                    yield Fault("limits", name, scene, shim(call, "-", nth, "errno", error), starves=nth == 0)


@contextmanager
def _in_cgroup(world: World, controller: str, key: str, value: str) -> Iterator[None]:
    group = Path(f"/sys/fs/cgroup/{controller}/preflight-campaign-{os.getpid()}")
    try:
        group.mkdir(exist_ok=True)
        (group / key).write_text(value)
    except OSError as error:
        raise NotHere(f"no cgroup of {controller} can be made here: {error}") from error
    join = f'echo $$ >{group}/cgroup.procs && exec "$@"'
    with shimmed(world, PREFIX=json.dumps(["/bin/sh", "-c", join, "sh"])):
        yield
    with suppress(OSError):
        (group / key).write_text("max" if controller == "pids" else "-1")
    procs = (group / "cgroup.procs").read_text().split()
    for pid in procs:
        with suppress(OSError):
            (group.parent / "cgroup.procs").write_text(pid)
    with suppress(OSError):
        os.rmdir(group)
