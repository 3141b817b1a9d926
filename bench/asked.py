"""What each command and page takes on a store that is full: python -m bench.asked --store URL.

Milliseconds beyond the start (`preflight fleet --help`, with PostgreSQL's driver where the store is there), by the
clock and of CPU, median and 95th percentile. Where the machine does other things the CPU time is the steadier one.
Pages and open pages: python -m bench.pages.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence

QUERIES = (
    *("status", "since 30d", "node gpu0005", "jobs", "jobs --user alice", "jobs --node gpu0005"),
    *("jobs --verdict mismatch --since 30d", "drains", "drains --since 30d", "would --since 30d", "drift"),
)
WITH_DRIVER = "import sys, psycopg; sys.argv[1:] = ['fleet', '--help']; from preflight.__main__ import main; main()"


def asked(url: str, rounds: int) -> list[str]:
    """Return a line for each command, in turn with its start."""
    start = ("-c", WITH_DRIVER) if url.startswith("postgres") else ("-m", "preflight", "fleet", "--help")
    taken: dict[str, tuple[list[float], list[float]]] = {words: ([], []) for words in QUERIES}
    for turn in range(rounds + 1):
        base = _times(start)
        for words, lists in taken.items():
            its = _times(("-m", "preflight", "fleet", *words.split(), "--store", url))
            if turn:
                for one, other, found in zip(its, base, lists):
                    found.append(one - other)
    return [
        f"| `{words}` | " + " | ".join(f"{one:.0f}" for its in lists for one in _middle(sorted(its))) + " |"
        for words, lists in taken.items()
    ]


def _middle(its: Sequence[float]) -> tuple[float, float]:
    return its[len(its) // 2], its[int(len(its) * 0.95)]


def _times(words: Sequence[str]) -> tuple[float, float]:
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, *words], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = status
    if status:
        raise RuntimeError(f"{' '.join(words)} ended with {status}")
    return (time.perf_counter() - began) * 1000, (used.ru_utime + used.ru_stime) * 1000


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", required=True, help="a URL; `python -m bench.fleet --fill N --at URL` fills one")
    parser.add_argument("--rounds", type=int, default=21)
    options = parser.parse_args()
    print("| preflight fleet | ms beyond its start | 95 % | CPU ms | 95 % |\n|---|---:|---:|---:|---:|")
    print("\n".join(asked(options.store, options.rounds)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
