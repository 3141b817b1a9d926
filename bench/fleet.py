"""How fast a collector keeps reports, as a ratio in one run: python -m bench.fleet --help.

What questions take on a store that is full: python -m bench.asked --help.
"""

import argparse
import contextlib
import http.client
import json
import os
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from bench.pages import cpu_s  # noqa: E402
from fleet import demo, generator  # noqa: E402
from fleet.collector import Collector  # noqa: E402
from fleet.server import Postgres  # noqa: E402
from preflight.fleet import tokens  # noqa: E402
from preflight.fleet.ship.send import zstd  # noqa: E402
from preflight.fleet.store.open import open_store  # noqa: E402

NODES, CONNECTIONS, TOGETHER = 200, 8, 100
BARE = 1000  # rows in a transaction of the bare insert


def reports(number: int) -> dict[str, list[bytes]]:
    """Return reports of ``number`` in all, by node."""
    found: dict[str, list[bytes]] = {}
    each = -(-number // NODES)
    for raw in generator.month(NODES, 1, each):
        found.setdefault(json.loads(raw[:200].partition(b'"phase"')[0].rstrip(b", \n") + b"}")["node"], []).append(raw)
    return found


class Taken(NamedTuple):
    """What keeping reports took, for each: microseconds on the clock and of CPU; ``memory``: the most, bytes."""

    wall_us: float
    cpu_us: float
    memory: int = 0


def bare(raws: Sequence[bytes], place: Path) -> Taken:
    """Return what `executemany` of whole documents into SQLite takes."""
    path = place / "bare.db"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("CREATE TABLE r (id TEXT PRIMARY KEY, node TEXT, started TEXT, verdict TEXT, document BLOB)")
    began, used = time.perf_counter(), time.process_time()
    for begin in range(0, len(raws), BARE):
        rows = [(str(begin + at), "n", begin, "ready", raw) for at, raw in enumerate(raws[begin : begin + BARE])]
        with connection:
            connection.executemany("INSERT INTO r VALUES (?, ?, ?, ?, ?)", rows)
    took, used = time.perf_counter() - began, time.process_time() - used
    connection.close()
    for name in place.glob("bare.db*"):
        name.unlink()
    return Taken(took / len(raws) * 1e6, used / len(raws) * 1e6)


def ingest(url: str, by_node: dict[str, list[bytes]]) -> Taken:
    """Return what a collector takes from HTTP to the disk, the load generator beside it; the CPU time is its alone."""
    store = open_store(url)
    bodies = []
    for node, raws in by_node.items():
        token = tokens.make(store, "", node)
        bodies += [(token, zstd.compress(b"".join(raws[at : at + TOGETHER]))) for at in range(0, len(raws), TOGETHER)]
    store.close()
    collector = Collector(url).start()
    shares = [bodies[at::CONNECTIONS] for at in range(CONNECTIONS)]
    threads = [threading.Thread(target=_post, args=(collector.port, share)) for share in shares]
    began, before = time.perf_counter(), cpu_s(collector.pid)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    number = sum(map(len, by_node.values())) / 1e6
    taken = Taken((time.perf_counter() - began) / number, (cpu_s(collector.pid) - before) / number, collector.memory())
    collector.kill()
    return taken


def _post(port: int, bodies: Sequence[tuple[str, bytes]]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    for token, body in bodies:
        headers = {"authorization": f"Bearer {token}", "content-encoding": "zstd"}
        connection.request("POST", "/api/v1/reports", body, headers)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 200 or json.loads(text)["refused"]:
            raise RuntimeError(f"HTTP {answer.status}: {text[:200]!r}")


def side_by_side(make: Callable[[], AbstractContextManager[str]], options: argparse.Namespace, place: Path) -> None:
    """Print the rates and their ratio, round by round in turn, so that a machine whose speed drifts slows both."""
    by_node = reports(options.reports)
    raws = [raw for its in by_node.values() for raw in its]
    print(f"{len(raws):,} reports of {len(raws[0]):,} bytes, {os.cpu_count()} cores, the load generator on them too")
    print("| | bare executemany, reports/s | collector, reports/s | ratio | CPU us a report, bare and collector |")
    print("|---|---:|---:|---:|---:|")
    rows = []
    for turn in range(options.rounds):
        plain = bare(raws, place)
        with make() as url:
            taken = ingest(url, by_node)
        rows.append((1e6 / plain.wall_us, 1e6 / taken.wall_us, plain.wall_us / taken.wall_us, plain, taken))
        print(_row(f"round {turn + 1}", *rows[-1]), flush=True)
    middle = sorted(rows, key=lambda row: row[2])[len(rows) // 2]
    print(_row("median ratio", *middle))
    print(f"collector's memory {max(row[4].memory for row in rows) >> 20} MiB")


def _row(name: str, plain_rate: float, rate: float, ratio: float, plain: Taken, taken: Taken) -> str:
    return f"| {name} | {plain_rate:,.0f} | {rate:,.0f} | {ratio:.2f} | {plain.cpu_us:.0f}, {taken.cpu_us:.0f} |"


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--reports", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--fill", type=int, default=0, help="instead: fill a store with so many reports of 2,000 nodes")
    parser.add_argument("--days", type=int, default=30, help="of so many days")
    parser.add_argument("--at", default="", help="the URL of the store that --fill fills")
    options = parser.parse_args()
    if options.fill:
        fill(options.at, options.fill, options.days)
        return 0
    with tempfile.TemporaryDirectory(prefix="preflight-bench-") as top, contextlib.ExitStack() as stack:
        if options.store == "sqlite":
            side_by_side(lambda: _sqlite(top), options, Path(top))
        else:
            side_by_side(stack.enter_context(Postgres()).database, options, Path(top))
    return 0


@contextlib.contextmanager
def _sqlite(top: str) -> Iterator[str]:
    with tempfile.TemporaryDirectory(dir=top) as place:
        yield f"sqlite:///{place}/fleet.db"


def fill(url: str, number: int, days: int) -> None:
    """Fill a store and print how long it took, with the generator, and how much disk it takes."""
    store = open_store(url)
    began = time.perf_counter()
    number = demo.fill(store, number, days=days)
    store.close()
    took = time.perf_counter() - began
    print(
        f"{number:,} reports of 2,000 nodes and {days} days in {took:.0f} s, {number / took:,.0f}/s with the generator"
    )
    if url.startswith("sqlite"):
        path = Path(url.removeprefix("sqlite:///"))
        files = [*path.parent.glob(f"{path.name}*"), *Path(f"{path}-days").glob("*")]
        size = sum(its.stat().st_size for its in files if its.is_file())
        print(f"{size / number:,.0f} bytes of disk a report")


if __name__ == "__main__":
    sys.exit(main())
