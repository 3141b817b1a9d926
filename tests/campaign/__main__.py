"""`make campaign`: play faults and write the table. Variables: N SEED ONLY MINUTES JOBS OUT FRESH AGAIN."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from itertools import islice
from pathlib import Path

from campaign import families, runner
from campaign.fault import Fault, chosen
from campaign.runner import Row
from campaign.table import Rows, summary
from campaign.world import Assets, assets
from lab import releases

DEFAULTS = {"N": "1500", "SEED": "1", "MINUTES": "120", "OUT": "campaign-table"}
NAMES = (*DEFAULTS, "ONLY", "JOBS", "FRESH", "AGAIN")


def main() -> int:
    """Run the campaign; return 1 where a row is WRONG."""
    asked = {name: os.environ.get(name) or DEFAULTS.get(name, "") for name in NAMES}
    if os.geteuid() != 0:
        print("campaign: needs root, as slurmd's hooks have it", file=sys.stderr)
        return 2
    rows = Rows(Path(asked["OUT"]), bool(asked["FRESH"]))
    with tempfile.TemporaryDirectory(prefix="preflight-campaign-") as place:
        os.chmod(place, 0o755)
        shared = assets(Path(place))
        listed = families.every(asked["ONLY"])
        rows.keep({fault.id for fault in (listed if not asked["ONLY"] else families.every())})
        todo = chosen(listed, int(asked["N"]), int(asked["SEED"]))
        done = {id for id, row in rows.rows.items() if not (asked["AGAIN"] and row.result == "WRONG")}
        left = [fault for fault in todo if fault.id not in done]
        print(f"campaign: {len(left)} of {len(todo)} faults to play, into {rows.directory}/", flush=True)
        until = time.monotonic() + 60 * float(asked["MINUTES"])
        jobs = int(asked["JOBS"] or (os.cpu_count() or 1) * 2)  # most of the time a hook waits
        try:
            _play(left, Path(place), shared, rows, until, jobs)
        finally:
            rows.write(os.environ.get(releases.VARIABLE) or "host")
    mine = [row for id, row in rows.rows.items() if id in {fault.id for fault in todo}]
    print(summary(mine))
    return 1 if any(row.result == "WRONG" for row in mine) else 0


def _play(left: list[Fault], place: Path, shared: Assets, rows: Rows, until: float, jobs: int) -> None:
    """Play faults side by side until none is left, or no time."""
    global _work
    _work = (left, place, shared)  # injections are no data: workers have them by the fork
    waiting = iter(range(len(left)))
    with ProcessPoolExecutor(jobs, initializer=_begin) as pool:
        running = {pool.submit(_one, at) for at in islice(waiting, jobs * 2)}
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                _show(future.result(), rows)
                if time.monotonic() < until:
                    running |= {pool.submit(_one, at) for at in [next(waiting, None)] if at is not None}


_work: tuple[list[Fault], Path, Assets]


def _begin() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _one(at: int) -> Row:
    faults, place, shared = _work
    return runner.run(faults[at], place, shared)


def _show(row: Row, rows: Rows) -> None:
    rows.add(row)
    print(f"{len(rows.rows):5} {row.result:8}{row.id[:100]}", flush=True)
    for one in row.wrong:
        print(f"      {one}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
