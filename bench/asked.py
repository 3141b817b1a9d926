"""What each command takes on stores that are full: python -m bench.asked --store URL [URL …].

Milliseconds of CPU beyond the start (`preflight fleet --help`, with PostgreSQL's driver where the store is there),
median and 95th percentile; with --wall by the clock, for a machine that does nothing else. The stores are asked in
turn, so a machine whose speed drifts slows all alike. Pages and open pages: python -m bench.pages.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from preflight.fleet.store.open import open_reader

QUERIES = (
    *("status", "since 30d", "node gpu0005", "jobs", "jobs --user alice", "jobs --node gpu0005"),
    *("jobs --verdict mismatch --since 30d", "drains", "drains --since 30d", "would --since 30d", "drift"),
)
WITH_DRIVER = "import sys, psycopg; sys.argv[1:] = ['fleet', '--help']; from preflight.__main__ import main; main()"


class Took(NamedTuple):
    """Milliseconds of a command: by the clock, and of CPU."""

    wall: float
    cpu: float


def asked(urls: list[str], rounds: int) -> dict[tuple[str, str], list[Took]]:
    """Return what each (URL, command) took, ``rounds`` times after one that does not count; "" is the start alone."""
    found: dict[tuple[str, str], list[Took]] = {}
    for turn in range(rounds + 1):
        for words in ("", *QUERIES):
            for url in urls:
                if words:
                    took = _took("-m", "preflight", "fleet", *words.split(), "--store", url)
                elif url.startswith("postgres"):
                    took = _took("-c", WITH_DRIVER)
                else:
                    took = _took("-m", "preflight", "fleet", "--help")
                if turn:
                    found.setdefault((url, words), []).append(took)
    return found


def _took(*words: str) -> Took:
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, *words], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = status
    if status:
        raise RuntimeError(f"{' '.join(words)} ended with {status}")
    return Took((time.perf_counter() - began) * 1000, (used.ru_utime + used.ru_stime) * 1000)


def _size(url: str) -> str:
    """Return a store's reports, and how much disk each takes where it can be told."""
    reader = open_reader(url)
    (number,) = reader.rows("SELECT sum(runs) FROM hours")[0]
    reader.close()
    if not url.startswith("sqlite"):
        return f"{number:,} reports"
    path = Path(url.removeprefix("sqlite:///"))
    files = [path, *path.parent.glob(f"{path.name}-wal"), *Path(f"{path}-days").glob("*")]
    return f"{number:,} reports, {sum(one.stat().st_size for one in files) / number:,.0f} bytes each"


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", required=True, nargs="+", help="URLs; bench.fleet --fill N --at URL fills one")
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--wall", action="store_true")
    options = parser.parse_args()
    found = asked(options.store, options.rounds)
    print(f"| ms, median (95 %) | {' | '.join(map(_size, options.store))} |")
    print(f"|---|{'---:|' * len(options.store)}")
    for words in QUERIES:
        cells = []
        for url in options.store:
            start, its = ([one.wall if options.wall else one.cpu for one in found[url, what]] for what in ("", words))
            base, taken = sorted(start)[len(start) // 2], sorted(its)
            cells.append(f"{taken[len(taken) // 2] - base:.0f} ({taken[int(len(taken) * 0.95)] - base:.0f})")
        print(f"| `{words}` | {' | '.join(cells)} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
