"""`make fleet-demo`: a seeded month of 2,000 nodes in a store, and every answer on it."""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from fleet import generator
from preflight.fleet.entry import EntryReader
from preflight.fleet.query import status
from preflight.fleet.store.interface import Store
from preflight.fleet.store.open import open_store

COMMANDS = (
    "status",
    "since 30d",
    "drains --since 3d",
    "would --since 30d",
    "drift",
    "node gpu0102 --since 30d",
    "jobs --verdict mismatch --limit 5",
)
BATCH = 1000


def fill(store: Store, reports: int, nodes: int = 2000, days: int = 30) -> int:
    """Put about ``reports`` reports into a store, in batches as a collector writes them; return how many."""
    reader = EntryReader()
    each_day = max(1, reports // (nodes * days))
    batch = []
    number = 0
    for raw in generator.month(nodes, days, each_day):
        batch.append(reader.read(raw))
        if len(batch) == BATCH:
            number += store.add(batch)
            batch = []
    return number + store.add(batch)


def check_now(store: Store, nodes: int) -> int:
    """Let the nodes that `fill` left do a health check now, all but three; return how many did."""
    verdicts = {one.node: one.verdict for one in status.latest(store)}
    for silent in sorted(verdicts)[4 : nodes : nodes // 3]:
        del verdicts[silent]
    read = EntryReader().read
    return store.add(
        [read(raw) for raw in generator.checks(verdicts, time.time(), ("gpu0002", f"gpu{nodes // 2:04d}"))]
    )


def serve(url: str) -> int:
    """Show the dashboard of a store until Ctrl-C."""
    command = [sys.executable, "-m", "preflight", "serve", "--no-slurm", "--store", url]
    print("Ctrl-C ends it.", flush=True)
    process = subprocess.Popen(command)
    try:
        return process.wait()
    except KeyboardInterrupt:
        process.wait()
        print()
        return 0


def main() -> int:
    """Fill the store and show the answers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reports", type=int, default=120_000)
    parser.add_argument("--nodes", type=int, default=2000)
    parser.add_argument("--store", default="", help="keep it here; default: a temporary SQLite store")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="preflight-fleet-") as top:
        url = options.store or f"sqlite:///{Path(top)}/fleet.db"
        store = open_store(url)
        began = time.monotonic()
        number = fill(store, options.reports, options.nodes)
        number += check_now(store, options.nodes)
        store.close()
        print(
            f"{number:,} reports of {options.nodes:,} nodes and 30 days, {time.monotonic() - began:.0f} s\n", flush=True
        )
        for words in COMMANDS:
            print(f"$ preflight fleet {words}", flush=True)
            command = [sys.executable, "-m", "preflight", "fleet", *words.split(), "--store", url]
            subprocess.run(command, check=True)
            print(flush=True)
        if os.environ.get("SERVE"):
            return serve(url)
    return 0


if __name__ == "__main__":
    sys.exit(main())
