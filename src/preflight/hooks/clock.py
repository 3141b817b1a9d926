"""Has the wall clock jumped since the last health check? Then no age of a file is to be believed for a while."""

from __future__ import annotations

import time

from preflight.facts.cache import boot_id
from preflight.files import read_json, tolerate, write_json

JUMP_S = 3600.0  # what NTP slews or a leap second moves is far below
DISTRUST_S = 7 * 86400.0


def jump(run_dir: str, node: str) -> float:
    """Return the seconds by which the wall clock jumped within the last DISTRUST_S of this boot, 0.0 where it did not.

    It is compared with the clock that counts from the boot (CLOCK_BOOTTIME), from one health check to the next; what
    was seen is kept in root's ``run_dir``. A clock that was wrong at the boot already shows no jump.
    """
    wall, since_boot = time.time(), time.clock_gettime(time.CLOCK_BOOTTIME)
    path = f"{run_dir}/clock-{node}.json"
    kept = read_json(path)
    moved, at = 0.0, since_boot
    with tolerate((KeyError, TypeError, ValueError)):
        if kept["boot"] == boot_id():
            moved, at = float(kept["jump_s"]), float(kept["jump_at"])
            step = (wall - float(kept["wall"])) - (since_boot - float(kept["since_boot"]))
            if abs(step) >= JUMP_S:
                moved, at = moved + step, since_boot
            if abs(moved) < JUMP_S or since_boot - at > DISTRUST_S:
                moved = 0.0
    now = {"boot": boot_id(), "wall": wall, "since_boot": since_boot, "jump_s": moved, "jump_at": at}
    with tolerate(OSError):
        write_json(path, now)
    return moved
