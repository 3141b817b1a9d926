"""Reports on their way while everything around them breaks: each has to be in the store once, byte for byte.

python -m fleet.chaos --reports 20000 --shippers 50 --kills 20 --server-kills 5 --store postgres
"""

from __future__ import annotations

import argparse
import contextlib
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from fleet import samples
from fleet.collector import Collector, Node
from fleet.server import Postgres
from preflight.fleet import tokens
from preflight.fleet.ship import send
from preflight.fleet.store.open import open_store


class Plan(NamedTuple):
    """What happens: so many reports from so many shippers, kills of the collector and of the database's server.

    ``fill``: the store's disk is filled once (SQLite, as root). ``collectors``: how many side by side.
    """

    reports: int = 2000
    shippers: int = 10
    kills: int = 6
    server_kills: int = 0
    fill: bool = False
    collectors: int = 1
    seed: int = 1


class Outcome(NamedTuple):
    """``lost``, ``twice`` and ``changed`` reports; all have to be 0. ``seconds`` of the whole."""

    lost: int
    twice: int
    changed: int
    derived: int
    seconds: float


def run(plan: Plan, url: str, place: Path, server: Postgres | None = None) -> Outcome:
    """Let it happen and count what the store holds afterwards. ``place``: a directory; ``url``: an empty store."""
    chance = random.Random(plan.seed)
    expected: list[bytes] = []
    nodes = _nodes(plan, url, place, expected)
    collectors = [Collector(url).start() for _ in range(plan.collectors)]
    urls = [collectors[at % len(collectors)].url for at in range(len(nodes))]
    threads = [threading.Thread(target=node.ship, args=(url_,)) for node, url_ in zip(nodes, urls)]
    begin = time.monotonic()
    for thread in threads:
        thread.start()
    _break(plan, chance, collectors, server, place)
    for thread in threads:
        thread.join()
    for collector in collectors:
        collector.kill()
    return _judge(url, expected, time.monotonic() - begin)


def _nodes(plan: Plan, url: str, place: Path, expected: list[bytes]) -> list[Node]:
    store = open_store(url)
    nodes = []
    for number in range(plan.shippers):
        name = f"n{number}"
        node = Node(place / name, tokens.make(store, samples.CLUSTER, name))
        nodes.append(node)
        for at in range(plan.reports // plan.shippers):
            back = -3600.0 if number == 0 and at > 5 else 0.0  # its clock was set back in the middle
            raw = samples.report(name, samples.START + at * 61 + back, job=1000 + at, gpus=1, seed=at)
            node.record(raw)
            expected.append(raw)
    store.close()
    return nodes


def _break(
    plan: Plan,
    chance: random.Random,
    collectors: list[Collector],
    server: Postgres | None,
    place: Path,
) -> None:
    events = ["collector"] * plan.kills + ["server"] * plan.server_kills + ["disk"] * plan.fill
    chance.shuffle(events)
    for event in events:
        time.sleep(chance.uniform(0.05, 0.6))
        if event == "collector":
            one = chance.choice(collectors)
            one.kill()
            time.sleep(chance.uniform(0, 0.3))
            one.start()
        elif event == "server" and server is not None:
            server.kill()
            time.sleep(chance.uniform(0, 0.3))
            server.start()
        elif event == "disk":
            _fill(place / "store", chance.uniform(0.5, 1.5))


def _fill(directory: Path, seconds: float) -> None:
    """Leave no byte on the store's file system for a while."""
    filler = directory / "filler"
    with open(filler, "wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 65536)
    time.sleep(seconds)
    filler.unlink()


def _judge(url: str, expected: list[bytes], seconds: float) -> Outcome:
    store = open_store(url)
    found = Counter(raw for day in store.days() for raw in store.frames(day))
    derived = store.rows("SELECT sum(runs) FROM hours")[0][0]
    store.close()
    return Outcome(
        lost=sum(1 for raw in expected if raw not in found),
        twice=sum(times - 1 for times in found.values()),
        changed=len(found.keys() - set(expected)),
        derived=derived - len(expected),
        seconds=round(seconds, 1),
    )


@contextlib.contextmanager
def small_disk(directory: Path, size: str) -> Iterator[None]:
    """A file system of ``size`` at ``directory``."""
    directory.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(directory)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(directory)], check=True)


def main() -> int:
    """Run one plan on one store and print what came of it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--store", choices=["sqlite", "postgres"], default="sqlite")
    for name, default in Plan()._asdict().items():
        if name != "fill":
            parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=default)
    given = vars(parser.parse_args())
    kind = given.pop("store")
    quicken()
    with tempfile.TemporaryDirectory() as top:
        place = Path(top)
        if kind == "sqlite":
            with small_disk(place / "store", "512m"):
                outcome = run(Plan(**given, fill=True), f"sqlite:///{place}/store/fleet.db", place)
        else:
            with Postgres() as server, server.database() as url:
                outcome = run(Plan(**given), url, place, server)
    print(outcome)
    return int(any(outcome[:4]))


def quicken() -> None:
    """Shorten the shippers' waits: what is tested is that they try again, not how long they wait."""
    send.BACKOFF_S, send.JITTER_S, send.BATCH_REPORTS = 0.02, 0.05, 40


if __name__ == "__main__":
    sys.exit(main())
