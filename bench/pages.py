"""What the dashboard's pages take: python -m bench.pages --store URL (a store of bench.fleet or make fleet-demo).

Each page is asked for over HTTP, warm, one after the other: wall time, the server's CPU time, bytes on the wire. It is
made anew each time (a word in the URL that means nothing); "kept" is the same URL asked again and again, while nothing
changes. Then open pages that ask for themselves again at every event, while reports arrive: the share of a core.
"""

from __future__ import annotations

import argparse
import http.client
import os
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from fleet import generator  # noqa: E402
from fleet.collector import Collector  # noqa: E402
from preflight.fleet.entry import EntryReader  # noqa: E402
from preflight.fleet.pages import access  # noqa: E402
from preflight.fleet.pages.live import MOST_EACH  # noqa: E402
from preflight.fleet.store.open import open_store  # noqa: E402

PAGES = (
    *("/fleet", "/fleet?since=30d", "/nodes", "/node?name=gpu0005", "/jobs", "/jobs?verdict=mismatch&since=30d"),
    *("/jobs?node=gpu0005&since=30d", "/jobs?user=alice&since=30d", "/checks", "/check?name=gpu.temperature", "/drift"),
    *("/lifecycle", "/job?id=5000", "/fleet?format=json", "/nodes?format=csv&size=500"),
)
API = tuple(
    f"/api/v1/{path}"
    for path in (
        *("status", "since?since=30d", "drains?since=30d", "would?since=30d", "drift", "nodes/gpu0005"),
        *("jobs?since=30d&limit=1000", "jobs?since=30d&verdict=mismatch", "jobs/5000"),
    )
)
TICKS = os.sysconf("SC_CLK_TCK")


def cpu_s(pid: int) -> float:
    """Return the CPU seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def pages(port: int, pid: int, headers: dict[str, str], rounds: int) -> None:
    """Print a row for each page and each question to the API."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    print(f"{'page':<40} {'p50 ms':>7} {'p95 ms':>7} {'CPU ms':>7} {'kept ms':>7} {'KB':>6}")
    for path in (*PAGES, *API):
        more = "&" if "?" in path else "?"
        anew = [f"{path}{more}anew={at}" if path in PAGES else path for at in range(rounds + 3)]
        its, cpu, size = _asked(connection, pid, headers, anew)
        kept, _, _ = _asked(connection, pid, headers, [path] * (rounds + 3))
        p50, p95, again = its[len(its) // 2], its[int(len(its) * 0.95)], kept[int(len(kept) * 0.95)]
        print(f"{path:<40} {p50:7.1f} {p95:7.1f} {cpu:7.1f} {again:7.1f} {size / 1000:6.1f}", flush=True)
    connection.close()


def _asked(
    connection: http.client.HTTPConnection, pid: int, headers: dict[str, str], paths: list[str]
) -> tuple[list[float], float, int]:
    """Return the times in ms, sorted, the server's CPU time in ms each, and the bytes; the first three do not count."""
    took, size, before = [], 0, 0.0
    for at, path in enumerate(paths):
        if at == 3:
            before = cpu_s(pid)
        began = time.perf_counter()
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        size = len(answer.read())
        took.append((time.perf_counter() - began) * 1000)
        assert answer.status in (200, 404), (path, answer.status)
    return sorted(took[3:]), (cpu_s(pid) - before) / (len(paths) - 3) * 1000, size


def live(store_url: str, port: int, pid: int, headers: list[dict[str, str]], number: int, seconds: float) -> None:
    """Print what ``number`` open pages cost the server while 100 reports/s arrive."""
    ended = threading.Event()
    events = [0] * number

    def listen(at: int) -> None:
        stream = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        own = headers[at // MOST_EACH]
        stream.request("GET", "/live", headers=own)
        answer = stream.getresponse()
        while not ended.is_set():
            line = answer.readline()
            if line.startswith(b"data: ") and events[at] == 0:
                events[at] = 1  # hello
            elif line.startswith(b"data: "):
                events[at] += 1
                its = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
                tick = line[6:].strip().decode()
                its.request("GET", "/fleet", headers={**own, "preflight-live": tick})
                its.getresponse().read()
                its.close()
            elif not line:
                return

    threads = [threading.Thread(target=listen, args=(at,), daemon=True) for at in range(number)]
    for one in threads:
        one.start()
    while not all(events):
        time.sleep(0.1)
    store = open_store(store_url)
    read = EntryReader().read
    raws = list(generator.month(int(seconds * 100), 1, 1, gpus=8, seed=round(time.time())))
    before, began = cpu_s(pid), time.monotonic()
    for second in range(int(seconds)):
        store.add([read(raw) for raw in raws[second * 100 : second * 100 + 100]])
        time.sleep(max(0.0, began + second + 1 - time.monotonic()))
    took = time.monotonic() - began
    share = (cpu_s(pid) - before) / took
    ended.set()
    fetched = sum(events) - number
    print(
        f"{number} open pages, 100 reports/s for {took:.0f} s: {100 * share:.1f} % of a core, {fetched} pages fetched"
    )


def main() -> int:
    """Run both on one server."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", required=True)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--open-pages", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=30)
    options = parser.parse_args()
    store = open_store(options.store)
    names = [f"bench{at}" for at in range(options.open_pages // MOST_EACH + 1)]  # a reader has so many pages
    tokens = [access.make(store, name, "admin") for name in names]
    store.close()
    collector = Collector(options.store).start()
    headers = [{"authorization": f"Bearer {token}", "accept-encoding": "gzip"} for token in tokens]
    pid = collector.pid
    try:
        pages(collector.port, pid, headers[0], options.rounds)
        if options.open_pages:
            live(options.store, collector.port, pid, headers, options.open_pages, options.seconds)
        print(f"collector's memory {collector.memory() >> 20} MiB at most")
    finally:
        collector.kill()
        store = open_store(options.store)
        for name in names:
            access.revoke(store, name)
        store.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
