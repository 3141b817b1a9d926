"""What the collector and the store take, as ratios in one run: python -m bench.fleet --help."""

import argparse
import http.client
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from fleet import demo, generator  # noqa: E402
from fleet.collector import Collector  # noqa: E402
from fleet.server import Postgres  # noqa: E402
from preflight.fleet import tokens  # noqa: E402
from preflight.fleet.ship.send import zstd  # noqa: E402
from preflight.fleet.store.open import open_store  # noqa: E402

NODES, CONNECTIONS, TOGETHER = 200, 8, 100
BARE = 1000  # rows in a transaction of the bare insert
QUERIES = (
    *("status", "since 30d", "node gpu0005", "jobs", "jobs --user alice", "jobs --node gpu0005"),
    *("drains", "drains --since 30d", "would --since 30d", "drift"),
)


def reports(number: int) -> dict[str, list[bytes]]:
    """Return reports of ``number`` in all, by node."""
    found: dict[str, list[bytes]] = {}
    each = -(-number // NODES)
    for raw in generator.month(NODES, 1, each):
        found.setdefault(json.loads(raw[:200].partition(b'"phase"')[0].rstrip(b", \n") + b"}")["node"], []).append(raw)
    return found


def bare(raws: Sequence[bytes], place: Path) -> float:
    """Return the reports a second that `executemany` of whole documents into SQLite takes."""
    connection = sqlite3.connect(place / "bare.db")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("CREATE TABLE r (id TEXT PRIMARY KEY, node TEXT, started TEXT, verdict TEXT, document BLOB)")
    began = time.perf_counter()
    for begin in range(0, len(raws), BARE):
        rows = [(str(begin + at), "n", begin, "ready", raw) for at, raw in enumerate(raws[begin : begin + BARE])]
        with connection:
            connection.executemany("INSERT INTO r VALUES (?, ?, ?, ?, ?)", rows)
    took = time.perf_counter() - began
    connection.close()
    return len(raws) / took


def ingest(url: str, by_node: dict[str, list[bytes]]) -> tuple[float, int]:
    """Return the reports a second from HTTP to the disk, and the collector's most memory in bytes."""
    store = open_store(url)
    bodies = []
    for node, raws in by_node.items():
        token = tokens.make(store, "", node)
        bodies += [(token, zstd.compress(b"".join(raws[at : at + TOGETHER]))) for at in range(0, len(raws), TOGETHER)]
    store.close()
    collector = Collector(url).start()
    shares = [bodies[at::CONNECTIONS] for at in range(CONNECTIONS)]
    threads = [threading.Thread(target=_post, args=(collector.port, share)) for share in shares]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - began
    memory = collector.memory()
    collector.kill()
    return sum(map(len, by_node.values())) / took, memory


def _post(port: int, bodies: Sequence[tuple[str, bytes]]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    for token, body in bodies:
        headers = {"authorization": f"Bearer {token}", "content-encoding": "zstd"}
        connection.request("POST", "/api/v1/reports", body, headers)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 200 or json.loads(text)["refused"]:
            raise RuntimeError(f"HTTP {answer.status}: {text[:200]!r}")


def asked(url: str, rounds: int) -> list[str]:
    """Return a line for each command: wall and CPU ms beyond the start of `preflight fleet --help`, median and 95 %.

    The CPU time is the steadier of the two where the machine does other things.
    """
    base = [_middle(its) for its in _times(["fleet", "--help"], rounds)]
    lines = []
    for words in QUERIES:
        taken = _times(["fleet", *words.split(), "--store", url], rounds)
        cells = [
            f"{one - start:.0f}" for its, start in zip(taken, base) for one in (_middle(its), its[int(len(its) * 0.95)])
        ]
        lines.append(f"| {words} | {' | '.join(cells)} |")
    return lines


def _middle(its: Sequence[float]) -> float:
    return its[len(its) // 2]


def _times(words: Sequence[str], rounds: int) -> tuple[list[float], list[float]]:
    wall, cpu = [], []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        process = subprocess.Popen([sys.executable, "-m", "preflight", *words], stdout=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = status
        if status:
            raise RuntimeError(f"preflight {' '.join(words)} ended with {status}")
        wall.append((time.perf_counter() - began) * 1000)
        cpu.append((used.ru_utime + used.ru_stime) * 1000)
    return sorted(wall[1:]), sorted(cpu[1:])


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--reports", type=int, default=20_000)
    parser.add_argument("--fill", type=int, default=0, help="ask a store of so many reports of 2,000 nodes, too")
    parser.add_argument("--rounds", type=int, default=21)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="preflight-bench-") as top:
        place = Path(top)
        by_node = reports(options.reports)
        raws = [raw for its in by_node.values() for raw in its]
        if options.store == "sqlite":
            _measure(options, place, by_node, raws, f"sqlite:///{place}/fleet.db", f"sqlite:///{place}/full.db")
        else:
            with Postgres() as server, server.database() as url, server.database() as full:
                _measure(options, place, by_node, raws, url, full)
    return 0


def _measure(
    options: argparse.Namespace, place: Path, by_node: dict[str, list[bytes]], raws: list[bytes], url: str, full: str
) -> None:
    plain = bare(raws, place)
    rate, memory = ingest(url, by_node)
    print(f"{len(raws):,} reports of {len(raws[0]):,} bytes, {os.cpu_count()} cores, the load beside it")
    print(f"bare executemany {plain:,.0f}/s; from HTTP to disk {rate:,.0f}/s, {rate / plain:.2f} times that")
    print(f"collector's memory {memory >> 20} MiB")
    if not options.fill:
        return
    store = open_store(full)
    began = time.perf_counter()
    number = demo.fill(store, options.fill)
    took = time.perf_counter() - began
    store.close()
    print(f"{number:,} reports of 2,000 nodes kept in {took:.0f} s, {number / took:,.0f}/s with the generator")
    if options.store == "sqlite":
        size = sum(path.stat().st_size for path in place.rglob("full.db*") if path.is_file())
        size += sum(path.stat().st_size for path in (place / "full.db-days").glob("*"))
        print(f"{size / number:,.0f} bytes of disk a report; {shutil.disk_usage(place).free >> 30} GiB are free")
    print("| fleet | ms beyond its start | 95 % | CPU ms | 95 % |\n|---|---:|---:|---:|---:|")
    print("\n".join(asked(full, options.rounds)))


if __name__ == "__main__":
    sys.exit(main())
